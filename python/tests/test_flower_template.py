"""The template for Flower learns what its README says, unported."""

from __future__ import annotations

import pathlib
import re
import shutil

import federate

TEMPLATE = pathlib.Path(__file__).resolve().parents[2] / "templates" / "flower"
CONFIG = {"num-server-rounds": 20, "fraction-train": 0.5, "local-epochs": 2, "batch-size": 16,
          "learning-rate": 0.1}


def test_the_template_is_as_accurate_as_it_says_for_any_number_of_workers(tmp_path):
    app = tmp_path / "app"
    shutil.copytree(TEMPLATE, app)
    said = re.search(r"right for (\d+) of 100", (TEMPLATE / "README.md").read_text())
    ran = [federate.run(app, "glyphs.server_app:app", "glyphs.client_app:app", nodes=40,
                        threads=threads, config=CONFIG, flower=True) for threads in (1, 3)]
    assert ran[0].finished["model-sha256"] == ran[1].finished["model-sha256"]
    assert ran[0].finished["metrics"]["accuracy"] >= int(said[1]) / 100
    assert f"accuracy {ran[0].finished['metrics']['accuracy']:.3f}" in ran[0].log
