"""Records: kept, not measured twice, repaired after a kill."""

import pytest

from vitreous.benchmark.runner import Row, measure_rows, read_records, selected
from vitreous.core import InputError, Interrupted, SilentProgress


class Stopping(SilentProgress):
    def should_stop(self):
        return True


def rows(log, names=("a", "b")):
    def measure(name):
        log.append(name)
        return {"value": len(log)}

    return [Row({"case": name}, lambda name=name: measure(name)) for name in names]


def test_rows_are_measured_once(tmp_path):
    log = []
    file = tmp_path / "folder" / "table.jsonl"
    first = measure_rows(rows(log), file, SilentProgress())
    again = measure_rows(rows(log, ("a", "b", "c")), file, SilentProgress())
    assert log == ["a", "b", "c"]
    assert again[:2] == first == [{"case": "a", "value": 1}, {"case": "b", "value": 2}]
    assert read_records(file) == again


def test_a_row_that_comes_out_as_another_is_copied_if_that_one_is_there(tmp_path):
    log = []
    plain = rows(log)
    auto = Row({"case": "auto"}, lambda: log.append("auto") or {"value": -1}, lambda: {"case": "b"})
    file = tmp_path / "table.jsonl"
    assert measure_rows([*plain, auto], file, SilentProgress())[-1] == {"case": "auto", "value": 2}
    assert log == ["a", "b"]
    alone = measure_rows([auto], tmp_path / "alone.jsonl", SilentProgress())
    assert alone == [{"case": "auto", "value": -1}]


def test_the_machine_is_that_of_the_measurement(tmp_path):
    file = tmp_path / "table.jsonl"
    measure_rows(rows([], ("a",)), file, SilentProgress(), "one")
    copy = Row({"case": "c"}, dict, lambda: {"case": "a"})
    found = measure_rows([*rows([]), copy], file, SilentProgress(), "other")
    assert [r["machine"] for r in found] == ["one", "other", "one"]


def test_a_line_cut_short_is_measured_again(tmp_path):
    file = tmp_path / "table.jsonl"
    file.write_text('{"case": "a", "value": 1}\n{"case": "b", "va', encoding="utf-8")
    log = []
    measure_rows(rows(log), file, SilentProgress())
    assert log == ["b"]
    assert [r["case"] for r in read_records(file)] == ["a", "b"]


def test_a_damaged_file_is_refused_and_kept(tmp_path):
    file = tmp_path / "table.jsonl"
    file.write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(InputError, match="damaged"):
        measure_rows(rows([]), file, SilentProgress())
    assert file.read_text(encoding="utf-8") == "nonsense\n"


def test_stopping_keeps_what_there_is(tmp_path):
    file = tmp_path / "table.jsonl"
    measure_rows(rows([], ("a",)), file, SilentProgress())
    with pytest.raises(Interrupted):
        measure_rows(rows([]), file, Stopping())
    assert [r["case"] for r in read_records(file)] == ["a"]


def test_rows_that_there_are_not_are_refused():
    assert selected(("b",), ("a", "b")) == ["b"]
    with pytest.raises(InputError, match="no row c"):
        selected(("c",), ("a", "b"))
