# The package that an app finds with find_package(umbel): in the build tree beside bin/, so that
# `umbel run` works from a checkout, and in the same place of an installation.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

add_library(umbel INTERFACE)
add_library(umbel::umbel ALIAS umbel)
target_link_libraries(umbel INTERFACE umbel_main umbel_data)
target_include_directories(umbel INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<INSTALL_INTERFACE:include>)
target_compile_features(umbel INTERFACE cxx_std_20)

get_property(layers GLOBAL PROPERTY UMBEL_LAYERS)
install(TARGETS umbel ${layers} EXPORT umbelTargets)
install(EXPORT umbelTargets NAMESPACE umbel:: DESTINATION lib/cmake/umbel)
install(DIRECTORY src/umbel DESTINATION include FILES_MATCHING PATTERN "*.h"
  PATTERN "*_test.h" EXCLUDE)
if(TARGET umbel_cli)
  install(TARGETS umbel_cli DESTINATION bin)
endif()

set(package "${UMBEL_OUTPUT}/lib/cmake/umbel")
export(EXPORT umbelTargets NAMESPACE umbel:: FILE "${package}/umbelTargets.cmake")
configure_file(cmake/umbelConfig.cmake "${package}/umbelConfig.cmake" COPYONLY)
configure_file(cmake/public_dependencies.cmake "${package}/public_dependencies.cmake" COPYONLY)
write_basic_package_version_file("${package}/umbelConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES cmake/umbelConfig.cmake cmake/public_dependencies.cmake
  "${package}/umbelConfigVersion.cmake" DESTINATION lib/cmake/umbel)
