# Everything comes from Debian's packages; `./dev setup` installs them.  See docs/architecture.md.

include(cmake/public_dependencies.cmake)
find_package(SQLite3 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(CLI11 REQUIRED)
if(UMBEL_TESTS)
  find_package(GTest REQUIRED)
  find_path(RAPIDCHECK_INCLUDE rapidcheck.h REQUIRED)
  find_library(RAPIDCHECK_LIBRARY rapidcheck REQUIRED)
endif()
find_package(Eigen3 QUIET)
