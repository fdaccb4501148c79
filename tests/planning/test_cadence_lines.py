from freezegun import freeze_time

from odoo.tests import Form, tagged

from ..common import KeyAccountCommon


@tagged("post_install", "-at_install")
class TestCadenceLines(KeyAccountCommon):
    """The first line that matches wins, so it counts where a line stands."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.Cadence = cls.env["key.account.cadence"]
        cls.Cadence.search([]).active = False
        cls.ordinary = cls._create_line(cls.tier_b, 2)

    @classmethod
    def _create_line(cls, tier=None, count=1, **values):
        return cls.Cadence.create(
            {
                "tier_id": tier and tier.id,
                "interval_count": count,
                "company_id": cls.company.id,
                **values,
            }
        )

    def test_a_new_line_stays_last(self):
        """It overrides none of those that were there."""
        catch_all = self._create_line(count=9)
        lines = self.Cadence.search([("company_id", "=", self.company.id)])
        self.assertEqual(lines, self.ordinary | catch_all)
        matched = self.Cadence._get_lines(self.company)._match(self.tier_b.id, "visit")
        self.assertEqual(matched, self.ordinary)
        with Form(self.Cadence.with_user(self.manager)) as form:
            form.tier_id = self.tier_c
        self.assertGreater(form.record.sequence, catch_all.sequence)

    def test_executives_escalate(self):
        """By default at every door: a form, an import, a call."""
        with Form(self.Cadence.with_user(self.manager)) as form:
            form.track = "executive"
        self.assertEqual(form.record.escalate_after_days, 14)
        self.assertEqual(self._create_line(track="executive").escalate_after_days, 14)
        self.assertEqual(self._create_line().escalate_after_days, 0)
        quiet = self._create_line(track="executive", escalate_after_days=0)
        self.assertEqual(quiet.escalate_after_days, 0)
        self.assertEqual(quiet.copy().escalate_after_days, 0)
        loaded = self.Cadence.load(
            ["track", "interval_count"], [["Executive visit", "6"]]
        )
        line = self.Cadence.browse(loaded["ids"])
        self.assertEqual(line.escalate_after_days, 14)
        # what somebody made the default counts
        executives = self.Cadence.with_context(default_track="executive")
        self.assertEqual(executives.create({}).escalate_after_days, 14)
        self.env["ir.default"].set("key.account.cadence", "escalate_after_days", 7)
        self.assertEqual(self._create_line(track="executive").escalate_after_days, 7)

    def test_two_at_once(self):
        first, second = self.Cadence.create([{"interval_count": n} for n in (3, 4)])
        self.assertGreater(first.sequence, self.ordinary.sequence)
        self.assertEqual(self.Cadence.search([])[-2:], first | second)

    def test_hidden_lines(self):
        """A line that says it for everybody hides those below it on its track."""
        self.assertFalse(self.ordinary.hidden_text)
        catch_all = self._create_line(count=9, sequence=self.ordinary.sequence - 1)
        call = self._create_line(self.tier_b, track="contact")
        low = self._create_line(self.tier_c)
        self.env.invalidate_all()
        lines = catch_all | self.ordinary | call | low
        self.assertEqual(
            [bool(line.hidden_text) for line in lines], [False, True, False, True]
        )
        self.assertIn(catch_all.display_name, low.hidden_text)
        catch_all.sequence = low.sequence + 1
        self.env.invalidate_all()
        self.assertFalse(any(lines.mapped("hidden_text")))
        catch_all.sequence = 0
        catch_all.active = False
        self.env.invalidate_all()
        self.assertFalse(low.hidden_text)

    def test_a_line_is_dragged(self):
        """The list is told at once what the line hides from now on."""
        catch_all = self._create_line(count=9)
        lines = (catch_all | self.ordinary).with_user(self.manager)
        rows = lines.web_resequence({"sequence": {}}, "sequence", 1)
        self.assertEqual([row["sequence"] for row in rows], [1, 2])
        self.assertEqual([bool(row["hidden_text"]) for row in rows], [False, True])
        rows = (lines[1] | lines[0]).web_resequence({"sequence": {}}, offset=1)
        self.assertFalse(any(row["hidden_text"] for row in rows))

    def test_hidden_by_a_part(self):
        level = self._create_line(self.tier_b, relationship_level="partner", sequence=0)
        stage = self._create_line(
            self.tier_b,
            relationship_level="partner",
            engagement_stage="quotation",
        )
        shared = self._create_line(self.tier_b, company_id=False)
        self.env.invalidate_all()
        self.assertFalse(level.hidden_text)
        self.assertFalse(self.ordinary.hidden_text)
        self.assertTrue(stage.hidden_text)
        # it holds in other companies
        self.assertFalse(shared.hidden_text)
