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
# Components are in files of their own, which an app that does not ask for them never reads.
foreach(component ${umbel_components})
  install(TARGETS umbel_${component} EXPORT umbel-${component}Targets)
  install(EXPORT umbel-${component}Targets NAMESPACE umbel:: DESTINATION lib/cmake/umbel)
endforeach()
# What an app has to have built before find_package(umbel) is of use to it.
add_custom_target(umbel_package)
add_dependencies(umbel_package umbel_main umbel_data)
if(TARGET umbel_cli)
  install(TARGETS umbel_cli DESTINATION bin)
endif()

set(package "${UMBEL_OUTPUT}/lib/cmake/umbel")
export(EXPORT umbelTargets NAMESPACE umbel:: FILE "${package}/umbelTargets.cmake")
foreach(component ${umbel_components})
  export(EXPORT umbel-${component}Targets NAMESPACE umbel:: FILE "${package}/umbel-${component}Targets.cmake")
  add_dependencies(umbel_package umbel_${component})
endforeach()
if(NOT "torch" IN_LIST umbel_components)
  file(REMOVE "${package}/umbel-torchTargets.cmake")  # of an earlier configuration
endif()
foreach(file umbelConfig public_dependencies libtorch)
  configure_file(cmake/${file}.cmake "${package}/${file}.cmake" COPYONLY)
endforeach()
write_basic_package_version_file("${package}/umbelConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES cmake/umbelConfig.cmake cmake/public_dependencies.cmake cmake/libtorch.cmake
  "${package}/umbelConfigVersion.cmake" DESTINATION lib/cmake/umbel)
