# umbel_layer(NAME [BELOW layer...] [PUBLIC library...] [PRIVATE library...])
#
# One folder of src/umbel is one static library umbel_NAME.  BELOW is the list of folders whose
# headers it may include (tools/check_layers reads it from here and holds every #include to it).
# Files named *_test.cc make one test program for the folder.
#
# With UMBEL_UNITY, files that include much (Boost above all) are compiled several at a time, which
# takes a third of the time.  So names in the anonymous namespaces of such a layer are each used once.
set(UMBEL_UNITY_LAYERS http superlink supernode bundle runner wire strategy simulation aggregate)
function(umbel_layer name)
  cmake_parse_arguments(LAYER "" "" "BELOW;PUBLIC;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cc")
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")

  add_library(umbel_${name} STATIC ${sources})
  add_library(umbel::${name} ALIAS umbel_${name})
  set_target_properties(umbel_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(umbel_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<INSTALL_INTERFACE:include>)
  foreach(below ${LAYER_BELOW})
    target_link_libraries(umbel_${name} PUBLIC umbel_${below})
  endforeach()
  target_link_libraries(umbel_${name} PUBLIC ${LAYER_PUBLIC} PRIVATE ${LAYER_PRIVATE})
  if(NOT name IN_LIST umbel_components)
    set_property(GLOBAL APPEND PROPERTY UMBEL_LAYERS umbel_${name})
  endif()
  if(UMBEL_UNITY AND name IN_LIST UMBEL_UNITY_LAYERS)
    set_target_properties(umbel_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    target_compile_options(umbel_${name} PRIVATE -Wno-subobject-linkage)
  endif()

  if(UMBEL_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE umbel_${name} GTest::gtest GTest::gmock
      GTest::gtest_main ${RAPIDCHECK_LIBRARY} ${LAYER_PRIVATE})
    if(UMBEL_SANITIZE MATCHES "thread")
      target_sources(${name}_test PRIVATE "${PROJECT_SOURCE_DIR}/cmake/tsan_abseil.cc")
    endif()
    set_target_properties(${name}_test PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
    add_test(NAME ${name} COMMAND ${name}_test)
    set_tests_properties(${name} PROPERTIES TIMEOUT 600)
  endif()
endfunction()
