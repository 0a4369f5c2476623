#!/usr/bin/python3
"""support_matrix on results that are made up."""
import importlib.machinery
import importlib.util
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parent / "support_matrix"
loader = importlib.machinery.SourceFileLoader("support_matrix", str(TOOL))
sys.dont_write_bytecode = True
matrix = importlib.util.module_from_spec(importlib.util.spec_from_loader("support_matrix", loader))
loader.exec_module(matrix)

PROJECT = """
cmake_minimum_required(VERSION 3.20)
project(made_up NONE)
enable_testing()
add_test(NAME good COMMAND true)
add_test(NAME bad COMMAND false)
add_test(NAME left_out COMMAND sh -c "exit 77")
set_tests_properties(left_out PROPERTIES SKIP_RETURN_CODE 77)
set_property(TEST good PROPERTY LABELS slow support:numpy:tls support:jax:tls support:one-file:tls)
set_property(TEST bad PROPERTY LABELS support:jax:tls support:jax:plain)
set_property(TEST left_out PROPERTY LABELS support:pytorch:workers)
"""


class Matrix(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "CMakeLists.txt").write_text(PROJECT)
        self.build, self.reports = self.folder / "build", self.folder / "reports"
        subprocess.run(["cmake", "-S", self.folder, "-B", self.build], check=True, capture_output=True)
        subprocess.run(["ctest", "--test-dir", self.build, "--output-junit", self.reports / "a.xml"],
                       capture_output=True)
        self.page = self.folder / "support.md"
        self.page.write_text(f"# Before\n{matrix.BEGIN}\nold\n{matrix.END}\nafter\n")

    def run_tool(self, *arguments):
        return subprocess.run([TOOL, self.build, self.reports, *arguments], capture_output=True, text=True)

    def test_the_page_has_what_passed_and_what_failed(self):
        self.assertEqual(self.run_tool("--page", self.page).returncode, 0)
        text = self.page.read_text()
        self.assertTrue(text.startswith("# Before\n") and text.endswith("\nafter\n"), text)
        self.assertNotIn("old", text)
        self.assertEqual(matrix.said(text)["numpy", "tls"], "yes")
        self.assertEqual(matrix.said(text)["jax", "tls"], "no")  # not all that show it passed
        self.assertEqual(matrix.said(text)["jax", "plain"], "no")
        self.assertEqual(matrix.said(text)["pytorch", "workers"], "?")
        self.assertEqual(matrix.said(text)["numpy", "workers"], "")
        self.assertIn("* NumPy: hub and nodes, TLS: `good`", text)
        self.assertEqual(self.run_tool("--check", self.page).returncode, 0)

    def test_a_page_that_says_otherwise_is_told_of(self):
        self.run_tool("--page", self.page)
        text = self.page.read_text()
        for before, after, words in (
                ("| NumPy |  |  | yes |", "| NumPy |  |  |  |", "numpy, tls: the page says '', the tests 'yes'"),
                ("| NumPy |  |  | yes |", "| NumPy |  | yes | yes |", "numpy, workers: the page says 'yes', the tests ''"),
                ("| JAX |  |  | no | no |", "| JAX |  |  | yes | no |", "jax, tls: the page says 'yes', the tests 'no'")):
            self.assertIn(before, text)
            self.page.write_text(text.replace(before, after))
            found = self.run_tool("--check", self.page)
            self.assertEqual((found.returncode, found.stdout.splitlines()[0]), (1, words))

    def test_nothing_else_may_stand_between_the_marks(self):
        self.run_tool("--page", self.page)
        text = self.page.read_text()
        numpy = next(line for line in text.splitlines() if line.startswith("| NumPy |"))
        for before, after in ((numpy, f"| R |  |  | yes |  |\n{numpy}"), (numpy, f"{numpy}\n{numpy}"),
                              ("hub and nodes, TLS |", "hub and nodes, QUIC |"), ("`good`", "`better`"),
                              ("Seen on ", "Seen on Windows and on ")):
            self.assertIn(before, text)
            self.page.write_text(text.replace(before, after, 1))
            self.assertEqual(self.run_tool("--check", self.page).returncode, 1, after)

    def test_a_failure_in_any_report_counts(self):
        self.run_tool("--page", self.page)
        bad = (self.reports / "a.xml").read_text()
        (self.reports / "z.xml").write_text(bad.replace('name="bad" classname="bad"', 'name="bad" classname="z"')
                                            .replace('status="fail"', 'status="run"'))
        self.assertEqual(self.run_tool("--check", self.page).returncode, 0)

    def test_what_was_skipped_is_no_contradiction(self):
        self.run_tool("--page", self.page)
        text = self.page.read_text().replace("| PyTorch |  | ? |", "| PyTorch |  | yes |")
        self.page.write_text(text)
        self.assertEqual(self.run_tool("--check", self.page).returncode, 0)

    def test_unknown_labels_and_missing_results_are_errors(self):
        self.assertIn("no JUnit files", subprocess.run(
            [TOOL, self.build, self.folder / "none"], capture_output=True, text=True).stderr)
        project = PROJECT + "set_property(TEST good APPEND PROPERTY LABELS support:cobol:tls)\n"
        (self.folder / "CMakeLists.txt").write_text(project)
        subprocess.run(["cmake", self.build], check=True, capture_output=True)
        self.assertIn("good: the label support:cobol:tls is for no row", self.run_tool().stderr)


if __name__ == "__main__":
    unittest.main()
