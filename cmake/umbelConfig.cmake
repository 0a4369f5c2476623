include("${CMAKE_CURRENT_LIST_DIR}/public_dependencies.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/umbelTargets.cmake")
