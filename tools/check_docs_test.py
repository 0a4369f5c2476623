#!/usr/bin/python3
"""Tests of check_docs on documents made here: check_docs_test.py BUILD"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parent / "check_docs"
MANIFEST = '[app]\nname = "a"\nversion = "0.1.0"\npublisher = "p"\n[entry]\ncmake = "."\n'


class Documents(unittest.TestCase):
    def check(self, *blocks, ending="\n```\n"):
        """The tool's exit code and output for a document of blocks (language, text)."""
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "page.md"
            page.write_text("".join(f"```{language}\n{text}{ending}" for language, text in blocks))
            done = subprocess.run([TOOL, "--output", sys.argv[1], page], capture_output=True,
                                  text=True)
            return done.returncode, done.stdout + done.stderr

    def assert_fails_at(self, line, *blocks):
        code, output = self.check(*blocks)
        self.assertEqual(code, 1, output)
        self.assertIn(f"page.md:{line}: ", output)

    def test_shell_blocks_share_a_folder_that_is_empty_at_first(self):
        code, output = self.check(("sh", '[ -z "$(ls)" ]; mkdir a; cd a; umbel --version'),
                                  ("text", "not run: false"), ("sh", "[ $(basename $PWD) = a ]"))
        self.assertEqual(code, 0, output)
        self.assertIn("2 blocks of code passed", output)

    def test_a_failing_command_fails_wherever_it_stands(self):
        self.assert_fails_at(1, ("sh", "false\ntrue"))
        self.assert_fails_at(1, ("sh", "false | true"))

    def test_commands_that_ci_runs_are_not_run_again(self):
        code, output = self.check(("sh", "./dev demo   # takes a minute"))
        self.assertEqual(code, 0, output)
        self.assert_fails_at(1, ("sh", "./dev demo\n./dev gone"))

    def test_blocks_that_need_a_component_that_is_not_there_are_skipped_by_name(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "page.md"
            page.write_text("<!-- needs: cobol -->\n```sh\nfalse\n```\n```cpp\nerror\n```\n")
            done = subprocess.run([TOOL, "--output", sys.argv[1], page], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("page.md:2: sh block: SKIPPED: this build has no component cobol", done.stdout)
        self.assertIn("page.md:5: cpp block: SKIPPED", done.stdout)

    def test_unlabelled_and_unknown_blocks_fail(self):
        self.assert_fails_at(1, ("", "umbel ls"))
        self.assert_fails_at(4, ("text", "fine"), ("ruby", "print()"))

    def test_files_are_where_the_commands_after_them_find_them(self):
        code, output = self.check(("python", "# a/b.py\nprint(6 * 7)"), ("toml", "# c.toml\nd = 1"),
                                  ("sh", "[ $(/usr/bin/python3 a/b.py) = 42 ]; grep -q d c.toml"))
        self.assertEqual(code, 0, output)
        self.assertIn("3 blocks of code passed", output)

    def test_a_block_without_an_end_fails(self):
        code, output = self.check(("sh", "true"), ending="\n")
        self.assertEqual(code, 1)
        self.assertIn("does not end", output)

    def test_links_to_files_that_are_not_there_fail(self):
        code, output = self.check(("text", ""),
                                  ending="\n```\n[here](page.md#a) [there](https://a.example)\n")
        self.assertEqual(code, 0, output)
        code, output = self.check(("text", ""), ending="\n```\n[gone](gone.md)\n")
        self.assertEqual(code, 1)
        self.assertIn("page.md:4: a link to gone.md", output)

    def test_manifests_are_what_umbel_accepts(self):
        code, output = self.check(("toml", MANIFEST))
        self.assertEqual(code, 0, output)
        self.assert_fails_at(1, ("toml", MANIFEST + "[simulation]\nnodez = 3\n"))
        self.assert_fails_at(1, ("toml", "[app\n"))

    def test_fragments_are_compiled(self):
        code, output = self.check(("cpp", "umbel::ArrayRecord model;\nmodel.clone();"))
        self.assertEqual(code, 0, output)
        self.assert_fails_at(1, ("cpp", "umbel::ArrayRecord model;\nmodel.no_such_thing();"))

    def test_programs_are_run(self):
        self.assert_fails_at(1, ("cpp", "int main() { return 3; }"))

    def test_apps_are_run_with_their_manifest(self):
        app = ('#include <umbel/umbel.h>\numbel::ClientApp client;\numbel::ServerApp server = '
               'umbel::ServerApp().main([](umbel::Grid&, umbel::Context&) { %s });\n'
               'UMBEL_MAIN(server, client)')
        code, output = self.check(("toml", MANIFEST), ("cpp", app % ""))
        self.assertEqual(code, 0, output)
        self.assert_fails_at(1, ("cpp", app % ""))
        self.assert_fails_at(10, ("toml", MANIFEST), ("cpp", app % 'throw std::runtime_error("x");'))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
