# Everything comes from Debian's packages; `./dev setup` installs them.  See docs/architecture.md.

include(cmake/public_dependencies.cmake)
find_package(SQLite3 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(CLI11 REQUIRED)
find_package(LibArchive REQUIRED)
find_package(Protobuf REQUIRED)  # protoc; the libraries link protobuf-lite
find_package(Boost 1.81 REQUIRED)  # Asio and Beast: headers only
if(UMBEL_TESTS)
  find_package(GTest REQUIRED)
  find_path(RAPIDCHECK_INCLUDE rapidcheck.h REQUIRED)
  find_library(RAPIDCHECK_LIBRARY rapidcheck REQUIRED)
endif()
find_package(Eigen3 QUIET)
