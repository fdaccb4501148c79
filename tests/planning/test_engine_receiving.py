from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from odoo.tests import BaseCase, tagged

from ...engine import receiving as engine

RELAXED = settings(max_examples=150, deadline=None, derandomize=True)
EXAMPLE = (
    "Mo-We,Fr 08:00-12:00,13:30-17:00; Sa 09:00-12:00; closed 2026-08-01/2026-08-31"
)


@st.composite
def hours(draw):
    """Draw when somebody receives."""
    minutes = st.integers(0, engine.MINUTES_PER_DAY)
    span = st.tuples(minutes, minutes).filter(lambda span: span[0] < span[1])
    weekly = draw(st.lists(st.lists(span, max_size=3), min_size=7, max_size=7))
    days = st.dates(date(2020, 1, 1), date(2030, 1, 1))
    closed = draw(
        st.lists(st.tuples(days, st.integers(0, 60)), max_size=4).map(
            lambda spans: [(day, day + timedelta(days=n)) for day, n in spans]
        )
    )
    return engine.make(weekly, closed)


@tagged("post_install", "-at_install")
class TestReceiving(BaseCase):
    @RELAXED
    @given(hours())
    def test_there_and_back(self, receiving):
        text = engine.format_text(receiving)
        self.assertEqual(engine.parse(text), receiving)
        self.assertEqual(engine.format_text(engine.parse(text)), text)

    @RELAXED
    @given(hours(), st.dates(date(2019, 1, 1), date(2031, 1, 1)))
    def test_a_day(self, receiving, day):
        spans = receiving.get_hours(day)
        self.assertEqual(receiving.receives(day), bool(spans))
        closed = any(first <= day <= last for first, last in receiving.closed)
        weekly = receiving.weekly and receiving.weekly[day.weekday()]
        always = not receiving.weekly
        self.assertEqual(bool(spans), not closed and (always or bool(weekly)))
        # in order, and apart
        edges = [minute for span in spans for minute in span]
        self.assertEqual(edges, sorted(set(edges)))

    @RELAXED
    @given(
        st.text(
            st.sampled_from("MoTuWe-,;:/0123456789 closed2026\n١") | st.characters(),
            max_size=40,
        )
    )
    def test_any_text(self, text):
        """Understood, or refused with the part that isn't: nothing else."""
        try:
            receiving = engine.parse(text)
        except ValueError as error:
            self.assertIn(str(error), text)
        else:
            again = engine.parse(engine.format_text(receiving))
            self.assertEqual(again, receiving)

    def test_examples(self):
        receiving = engine.parse(EXAMPLE)
        self.assertEqual(engine.format_text(receiving), EXAMPLE)
        # a Monday, a Thursday, a Monday of the holidays
        self.assertEqual(
            receiving.get_hours(date(2026, 7, 27)), ((480, 720), (810, 1020))
        )
        self.assertFalse(receiving.receives(date(2026, 7, 30)))
        self.assertFalse(receiving.receives(date(2026, 8, 3)))
        for written, kept in (
            (None, ""),
            (" ; ", ""),
            ("mo 8:00-12:00", "Mo 08:00-12:00"),
            ("Mo 08:00-12:00, 12:00-15:00", "Mo 08:00-15:00"),
            ("Tu 09:00-10:00;Mo 09:00-10:00", "Mo-Tu 09:00-10:00"),
            ("Sa-Mo", "Mo,Sa-Su"),
            ("Mo-Su 00:00-24:00", "Mo-Su"),
            ("CLOSED 2026-08-01", "closed 2026-08-01"),
            (
                "closed 2026-08-05/2026-08-06; closed 2026-08-01/2026-08-04",
                "closed 2026-08-01/2026-08-06",
            ),
        ):
            with self.subTest(written=written):
                self.assertEqual(engine.format_text(engine.parse(written)), kept)

    def test_refused(self):
        for text in (
            "Mo 12:00-08:00",
            "Mo 22:00-02:00",
            "Mo 08:00-25:00",
            "Mo 08:60-09:00",
            "Xx 08:00-12:00",
            "08:00-12:00",
            "Mo-Tu-We",
            "closed",
            "closed 2026-08-31/2026-08-01",
            "closed 2026-02-30",
            "closed August",
            "Mo 8-12",
        ):
            with self.subTest(text=text), self.assertRaises(ValueError):
                engine.parse(text)
