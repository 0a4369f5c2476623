#!/usr/bin/python3
"""Tests of check_layers and check_headers on small trees made here."""
import pathlib
import subprocess
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parent
LAYERS = {
    "base": "umbel_layer(base PUBLIC absl::status)",
    "record": "umbel_layer(record BELOW base PRIVATE umbel_zip)",
    "kernel": "umbel_layer(kernel BELOW base)",
    "aggregate": "umbel_layer(aggregate\n  BELOW record kernel)",
    "toml": "umbel_layer(toml BELOW record)",
    "data": "umbel_layer(data BELOW record)",
    "population": "umbel_layer(population BELOW record)",
    "sqlite": "umbel_layer(sqlite BELOW base)",
    "http": "umbel_layer(http BELOW base)",
    "bundle": "umbel_layer(bundle BELOW base)",
    "torch": "umbel_layer(torch BELOW record)",
}


class Tree(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name, text in LAYERS.items():
            self.write(f"src/umbel/{name}/CMakeLists.txt", text)
            self.write(f"src/umbel/{name}/{name}.h", "#pragma once\n")
        self.write("src/umbel/umbel.h", '#pragma once\n#include "umbel/record/record.h"\n')

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run_tool(self, tool):
        done = subprocess.run([TOOLS / tool, "--root", self.root], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def assert_accepted(self, name, text, tool="check_layers"):
        self.write(name, text)
        code, output = self.run_tool(tool)
        self.assertEqual(code, 0, output)

    def assert_refused(self, name, text, reason, tool="check_layers"):
        self.write(name, text)
        code, output = self.run_tool(tool)
        self.assertEqual(code, 1, output)
        self.assertIn(f"{name}:", output)
        self.assertIn(reason, output)


class Layers(Tree):
    def test_a_tree_that_keeps_to_its_layers_passes(self):
        self.assert_accepted("src/umbel/aggregate/fold.cc",
                             '#include "umbel/record/record.h"\n#include "umbel/base/base.h"\n')

    def test_a_components_public_list_is_for_apps(self):
        self.write("src/umbel/torch.h", '#pragma once\n#include "umbel/torch/torch.h"\n')
        self.assert_accepted("templates/cpp/main.cc", "#include <umbel/torch.h>\n")
        self.assert_refused("src/umbel/record/use.cc", '#include "umbel/torch.h"\n', "for apps")

    def test_headers_of_apps_may_be_heavy(self):
        self.assert_accepted("templates/cpp/net.h", "#pragma once\n#include <torch/torch.h>\n")

    def test_the_public_list_has_no_component(self):
        self.assert_refused("src/umbel/umbel.h",
                            '#pragma once\n#include "umbel/torch/torch.h"\n', "may name")

    def test_an_include_upwards_is_refused_with_its_line(self):
        self.assert_refused("src/umbel/base/low.cc",
                            '\n\n#include "umbel/record/record.h"\n', "low.cc:3: includes")

    def test_an_include_sideways_is_refused(self):
        self.assert_refused("src/umbel/kernel/side.cc",
                            '#include "umbel/record/record.h"\n', "may name base, kernel")

    def test_tests_of_a_layer_are_held_to_it_too(self):
        self.assert_refused("src/umbel/record/record_test.cc",
                            '#include "umbel/aggregate/aggregate.h"\n', "may name base, record")

    def test_angle_brackets_are_no_way_around(self):
        self.assert_refused("src/umbel/base/low.cc",
                            "#  include <umbel/record/record.h>\n", "may name base")

    def test_heavy_headers_are_refused_in_headers_only(self):
        for heavy in ("torch/torch.h", "boost/asio.hpp", "nlohmann/json.hpp", "umbel.pb.h"):
            self.assert_refused("src/umbel/base/heavy.h", f"#include <{heavy}>\n", "heavy")
        self.write("src/umbel/base/heavy.h", "#include <nlohmann/json_fwd.hpp>\n")
        self.assert_accepted("src/umbel/base/heavy.cc", "#include <nlohmann/json.hpp>\n")

    def test_the_parser_of_arguments_is_in_one_file(self):
        self.assert_refused("cli/run.cc", "#include <CLI/App.hpp>\n", "only cli/arguments.cc")

    def test_test_libraries_are_for_tests(self):
        self.write("src/umbel/base/base_test.cc", "#include <gtest/gtest.h>\n")
        self.assert_refused("src/umbel/base/low.cc", "#include <gtest/gtest.h>\n", "only tests")

    def test_the_command_line_names_records_and_nothing_above(self):
        self.write("cli/good.cc", '#include "umbel/record/record.h"\n#include "options.h"\n')
        self.assert_refused("cli/run.cc", '#include "umbel/aggregate/aggregate.h"\n', "cli may")

    def test_apps_include_the_public_list_alone(self):
        self.write("templates/cpp/main.cc", "#include <umbel/umbel.h>\n")
        self.assert_refused("templates/cpp/model.h", "#include <umbel/record/record.h>\n",
                            "apps include <umbel/umbel.h>")

    def test_the_public_list_is_for_apps(self):
        self.assert_refused("src/umbel/base/low.cc", '#include "umbel/umbel.h"\n', "for apps")

    def test_a_header_that_is_not_there_is_refused(self):
        self.assert_refused("src/umbel/base/low.cc", '#include "umbel/base/gone.h"\n', "no such")

    def test_includes_relative_to_the_file_are_refused_in_src(self):
        self.assert_refused("src/umbel/base/low.cc", '#include "base.h"\n', "umbel/FOLDER")

    def test_a_cycle_of_layers_is_refused(self):
        self.write("src/umbel/base/CMakeLists.txt", "umbel_layer(base BELOW aggregate)")
        code, output = self.run_tool("check_layers")
        self.assertEqual(code, 1)
        self.assertIn("cycle", output)

    def test_an_unknown_layer_is_refused(self):
        self.write("src/umbel/base/CMakeLists.txt", "umbel_layer(base BELOW ground)")
        code, output = self.run_tool("check_layers")
        self.assertEqual(code, 1)
        self.assertIn("BELOW ground", output)


class Headers(Tree):
    def test_headers_start_with_pragma_once(self):
        self.assert_refused("src/umbel/base/low.h", "#ifndef LOW\n#define LOW\n#endif\n",
                            "#pragma once", tool="check_headers")

    def test_a_comment_may_come_first(self):
        self.assert_accepted("src/umbel/base/low.h", "// Says what.\n#pragma once\n",
                             tool="check_headers")

    def test_a_source_includes_its_own_header_first(self):
        self.write("src/umbel/base/base.cc", '#include "umbel/base/base.h"\n#include <string>\n')
        self.assert_refused("src/umbel/record/record.cc",
                            '#include <string>\n#include "umbel/record/record.h"\n',
                            "own header first", tool="check_headers")


if __name__ == "__main__":
    unittest.main()
