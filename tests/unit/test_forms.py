"""Forms as data: what counts as an answer, field type by field type, and how a form is written in a SOP."""

from __future__ import annotations

from typing import Any

import pytest
from fold import CONTOH

from runner import filled
from runner.errors import InputError
from runner.forms import MAX_NUMBER, Form, answers_of, read_form, rupiah_text, skeleton, totals_of
from runner.language import INDONESIAN, Language, reading
from runner.sop import parse_sop
from runner.translations import language_of

COLUMNS = {
    "uraian": {"label": "Uraian"},
    "jumlah": {"label": "Banyaknya", "type": "number"},
    "harga": {"label": "Harga", "type": "rupiah"},
}


def form(**field: Any) -> Form:  # noqa: ANN401 - any YAML
    return Form.model_validate({"title": "Contoh", "fields": {"isi": {"label": "Isi", **field}}})


TAKEN: list[tuple[dict[str, Any], object, object]] = [
    ({"type": "text"}, "  kata  ", "kata"),
    ({"type": "text"}, "baris\nbaris", "baris\nbaris"),
    ({"type": "text"}, 12, "12"),
    ({"type": "lines"}, ["satu ", "dua"], ["satu", "dua"]),
    ({"type": "number"}, 0, 0),
    ({"type": "number"}, "12", 12),
    ({"type": "number"}, MAX_NUMBER, MAX_NUMBER),
    ({"type": "rupiah"}, 1250000, 1250000),
    ({"type": "rupiah"}, "1.250.000", 1250000),
    ({"type": "rupiah"}, "Rp1.250.000", 1250000),
    ({"type": "rupiah"}, "rp. 1.250.000,-", 1250000),
    ({"type": "rupiah"}, "Rp 1.250.000,00", 1250000),
    ({"type": "rupiah"}, "1250000", 1250000),
    ({"type": "date"}, "2026-11-21", "2026-11-21"),
    ({"type": "date"}, "21-11-2026", "2026-11-21"),
    ({"type": "date"}, "1/2/2026", "2026-02-01"),
    ({"type": "choice", "choices": ["ya", "tidak"]}, "ya", "ya"),
    ({"type": "choices", "choices": ["a", "b", "c"]}, ["c", "a", "c"], ["a", "c"]),
]


@pytest.mark.parametrize(("field", "given", "taken"), TAKEN)
def test_an_answer_is_recorded_in_one_form(field: dict[str, Any], given: object, taken: object) -> None:
    assert answers_of(form(**field), {"isi": given}) == ({"isi": taken}, [])


@pytest.mark.parametrize(("field", "given", "taken"), TAKEN)
def test_what_is_recorded_is_taken_again_as_it_is(
    field: dict[str, Any], given: object, taken: object
) -> None:
    del given
    assert answers_of(form(**field), {"isi": taken})[0] == {"isi": taken}


REFUSED: list[tuple[dict[str, Any], object, str]] = [
    ({}, None, "must be filled in"),
    ({}, "   ", "must be filled in"),
    ({}, True, "expected text"),
    ({}, ["x"], "expected text"),
    ({}, "x" * 4001, "is longer than 4000 characters"),
    ({}, "a\u202eb", "cannot be seen: U+202E"),
    ({}, "a\x1b[2J", "cannot be seen: U+001B"),
    ({"type": "lines"}, "satu", "expected a list"),
    ({"type": "lines"}, ["satu", " "], "an entry of the list is empty"),
    ({"type": "lines"}, ["x"] * 201, "more than 200 entries"),
    ({"type": "number"}, -1, "expected a number from 0"),
    ({"type": "number"}, MAX_NUMBER + 1, "expected a number from 0"),
    ({"type": "number"}, "dua", "expected a whole number"),
    ({"type": "number"}, True, "expected a whole number"),
    ({"type": "number"}, "1,5", "expected a whole number"),
    ({"type": "rupiah"}, "1.25", "expected an amount"),
    ({"type": "rupiah"}, "1,250,000", "expected an amount"),
    ({"type": "rupiah"}, "1250000,50", "expected an amount"),
    ({"type": "rupiah"}, "-5", "expected an amount"),
    ({"type": "rupiah"}, "USD 5", "expected an amount"),
    ({"type": "date"}, "2026-02-30", "expected a day"),
    ({"type": "date"}, "besok", "expected a day"),
    ({"type": "date"}, 2026, "expected a day"),
    ({"type": "choice", "choices": ["ya", "tidak"]}, "Ya", "expected one of ya, tidak"),
    ({"type": "choices", "choices": ["a", "b"]}, ["z"], "expected one of a, b"),
    ({"type": "choices", "choices": ["a", "b"]}, "a", "expected a list of some of a, b"),
    ({"type": "table", "columns": COLUMNS}, "x", "expected a list of rows"),
    ({"type": "table", "columns": COLUMNS}, ["x"], "expected a list of rows"),
    ({"type": "table", "columns": COLUMNS}, [{"jumlah": 1, "harga": 1}], "row 1, Uraian: must be filled in"),
    ({"type": "table", "columns": COLUMNS}, [{"lain": 1}], "lain is no column of Isi"),
]


@pytest.mark.parametrize(("field", "given", "why"), REFUSED)
def test_an_answer_that_is_none_is_refused_in_words(field: dict[str, Any], given: object, why: str) -> None:
    answers, misfits = answers_of(form(**field), {"isi": given})
    assert any(why in misfit.message for misfit in misfits), misfits
    assert "isi" not in answers or field.get("type") == "table"


def test_what_may_stay_empty_is_left_out() -> None:
    assert answers_of(form(required=False), {"isi": " "}) == ({}, [])
    assert answers_of(form(required=False), {}) == ({}, [])


@pytest.mark.parametrize("data", [None, "x", 1, []])
def test_a_file_without_fields_is_refused(data: object) -> None:
    assert "expected a line" in answers_of(form(), data)[1][0].message


def test_a_table_is_multiplied_and_summed_up() -> None:
    table = form(type="table", columns=COLUMNS, total=["jumlah", "harga"])
    rows = [{"uraian": "x", "jumlah": 3, "harga": 1000}, {"uraian": "y", "jumlah": 2, "harga": "Rp500"}]
    answers, misfits = answers_of(table, {"isi": rows})
    assert (totals_of(table, answers), misfits) == ({"isi": 4000}, [])


def test_a_total_that_no_program_could_hold_is_refused() -> None:
    table = form(type="table", columns=COLUMNS, total=["jumlah", "harga"])
    rows = [{"uraian": "x", "jumlah": MAX_NUMBER, "harga": MAX_NUMBER}]
    assert "its total is over" in answers_of(table, {"isi": rows})[1][0].message


def test_amounts_are_written_as_an_office_does() -> None:
    assert [rupiah_text(amount) for amount in (0, 999, 1_250_000)] == ["Rp0", "Rp999", "Rp1.250.000"]


def test_an_empty_form_is_a_file_that_only_lacks_its_answers() -> None:
    asked = form(type="table", columns=COLUMNS)
    with pytest.raises(InputError) as caught:
        read_form(asked, "\n".join(skeleton(asked)), "form.yml")
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == [
        "form.yml:4",
        "form.yml:5",
        "form.yml:6",
    ]


# In a SOP file ------------------------------------------------------------------------------------------

FORM = "forms:\n  isian:\n    title: Isian\n    fields:\n      isi: {label: Isi}\nsteps:"
ROW_1 = "action: {playbook: plan-perbaikan.yml, plan: true}\n    next: 2"


def with_form(row: str, forms: str = FORM) -> str:
    return CONTOH.replace("steps:", forms).replace(ROW_1, row)


def test_a_row_may_have_a_form() -> None:
    text = CONTOH.replace("steps:", FORM).replace(
        "action: {suite: uji_server, hosts: changed}\n    decision:\n      by: result\n      outcomes:\n"
        "        - {name: baik, when: ok, next: end}\n        - {name: tidak baik, when: failed, "
        "recover: {playbook: pulihkan-server.yml}, next: end}",
        "action: {form: isian}\n    next: end",
    )
    sop = parse_sop(text, "x.yml")
    action = sop.step(4).action
    assert action is not None
    assert action.form == "isian"
    assert list(sop.forms) == ["isian"]


BROKEN = {
    "there is no form 'lain'; there are isian": with_form("action: {form: lain}\n    next: 2"),
    "an action is exactly one of form, playbook": with_form(
        "action: {form: isian, playbook: x.yml}\n    next: 2"
    ),
    "proof and by_hand belong to a form": with_form("action: {playbook: x.yml, by_hand: true}\n    next: 2"),
    "'choices' and 'type: choice'": with_form(
        ROW_1, FORM.replace("{label: Isi}", "{label: Isi, type: choice}")
    ),
    "'columns' and 'type: table'": with_form(
        ROW_1, FORM.replace("{label: Isi}", "{label: Isi, type: table}")
    ),
    "'total' names one column in rupiah": with_form(
        ROW_1, FORM.replace("{label: Isi}", "{label: Isi, type: table, columns: {a: {label: A}}, total: [a]}")
    ),
    "at most one field for attachments": with_form(
        ROW_1,
        FORM.replace(
            "isi: {label: Isi}",
            "isi: {label: Isi, type: attachments}\n      lagi: {label: Lagi, type: attachments}",
        ),
    ),
    "unless the row has a form that it signs": CONTOH.replace(
        "        - {name: periksa ulang, next: 1}\n        - {name: dibatalkan, next: end}\n", ""
    ),
    "'completes' goes with 'next: end'": CONTOH.replace(
        "{name: disetujui, next: 3}", "{name: disetujui, next: 3, completes: true}"
    ),
    "'of' must name an earlier row that works on hosts; row 2 does not": CONTOH.replace(
        "by: result", "by: result\n      of: 2"
    ),
    "'of' decides by the results of another row": CONTOH.replace("by: result", "by: result\n      of: 3"),
}


@pytest.mark.parametrize("problem", BROKEN)
def test_a_broken_form_is_named_in_words(problem: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_sop(BROKEN[problem], "x.yml")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("language", "day"), [(INDONESIAN, "30 Desember 2026"), (language_of("en"), "30 December 2026")]
)
def test_a_day_is_recorded_as_it_is_and_shown_as_an_office_writes_it(language: Language, day: str) -> None:
    columns = {"apa": {"label": "Apa"}, "kapan": {"label": "Kapan", "type": "date", "required": False}}
    asked = Form.model_validate(
        {
            "title": "Contoh",
            "fields": {
                "selesai": {"label": "Selesai", "type": "date"},
                "rincian": {"label": "Rincian", "type": "table", "columns": columns},
            },
        }
    )
    given = {"selesai": "30-12-2026", "rincian": [{"apa": "Disk", "kapan": "30.12.2026"}, {"apa": "Jasa"}]}
    answers, wrong = answers_of(asked, given)
    with reading(language):
        told = filled.shown(asked, {"answers": answers, "totals": {}})

    assert wrong == []
    assert (answers["selesai"], answers["rincian"][0]["kapan"]) == ("2026-12-30", "2026-12-30")
    assert told[0].lines == (day,)
    assert told[1].table[1:] == (("Disk", day), ("Jasa", ""))
