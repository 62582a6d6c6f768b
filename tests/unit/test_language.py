"""Messages of documents: filled in as safely as other text of a template, refused without a translation."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
from jinja2 import nodes
from messages import MESSAGES, TEMPLATES, calls

from runner import language, report
from runner.language import Language, Untranslated

OTHER = Language("xx", "en_GB", Untranslated())


def filled(template: str, **values: object) -> str:
    return report.environment().from_string(template).render(**values)


def test_what_fills_a_place_is_escaped_and_written_out() -> None:
    hostile = "<script>\u202e%(x)s&"

    told = filled('{{ _("Sebab: <b>%(x)s</b>", x=x) }}', x=hostile)

    assert told == "Sebab: <b>&lt;script&gt;\u2039U+202E\u203a%(x)s&amp;</b>"


def test_markup_that_a_macro_made_stays_markup() -> None:
    told = filled('{% macro bold(x) %}<b>{{ x }}</b>{% endmacro %}{{ _("%(x)s host", x=bold(x)) }}', x="<i>")

    assert told == "<b>&lt;i&gt;</b> host"


@pytest.mark.parametrize("value", [None, True, ["a"]])
def test_what_a_document_must_not_print_is_refused_in_messages_too(value: object) -> None:
    with pytest.raises(TypeError, match="must not print"):
        filled('{{ _("Sebab: %(x)s", x=x) }}', x=value)


def test_value_that_is_missing_is_an_error_in_messages_too() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'x' is undefined"):
        filled('{{ _("Sebab: %(x)s", x=x) }}')


def test_place_that_nobody_fills_is_an_error() -> None:
    with pytest.raises(KeyError):
        filled('{{ _("Sebab: %(x)s", y=1) }}')


def test_message_without_places_is_printed_to_the_letter() -> None:
    assert filled('{{ _("100% <b>baik</b>") }}') == "100% <b>baik</b>"


def test_number_of_things_fills_its_place() -> None:
    assert filled('{{ counted("%(num)s host", 3) }}') == "3 host"


def test_message_that_a_catalogue_lacks_is_refused() -> None:
    with language.reading(OTHER), pytest.raises(LookupError, match="no translation of 'Sebab'"):
        filled('{{ _("Sebab") }}')
    with language.reading(OTHER), pytest.raises(LookupError, match="no translation of '%\\(num\\)s host'"):
        filled('{{ counted("%(num)s host", 3) }}')
    with language.reading(OTHER), pytest.raises(LookupError, match=r"'selesai' \(flowchart\)"):
        filled('{{ in_sense("flowchart", "selesai") }}')


def test_another_language_ends_with_its_block() -> None:
    with pytest.raises(LookupError), language.reading(OTHER):
        language._("Sebab")

    assert language.is_original()
    assert language._("Sebab") == "Sebab"


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.j2")), ids=lambda path: path.name)
def test_messages_of_templates_stand_there_to_the_letter(path: Path) -> None:
    """What a host or a person wrote is never taken for a message: it would go out unescaped."""
    for call in calls(path):
        message = call.args[MESSAGES[call.node.name]]  # type: ignore[attr-defined]

        assert isinstance(message, nodes.Const), f"{path.name}:{call.lineno}: a message is not a literal"
        assert isinstance(message.value, str)
