# umbel_shows(TEST WHO WHERE...): that the test passes shows that WHO works in each WHERE; the words are
# those of tools/support_matrix, which makes docs/support.md of them.
function(umbel_shows test who)
  foreach(where ${ARGN})
    set_property(TEST ${test} APPEND PROPERTY LABELS "support:${who}:${where}")
  endforeach()
endfunction()
