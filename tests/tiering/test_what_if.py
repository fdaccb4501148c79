from collections import Counter, defaultdict
from datetime import date, timedelta
from unittest.mock import patch

from psycopg2.errors import NotNullViolation

from odoo import SUPERUSER_ID, Command, api
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.modules.registry import Registry
from odoo.tests import BaseCase, Form, get_db_name, tagged
from odoo.tools import mute_logger

from ...models.account import clock
from ...models.account.trial import trial
from ..common import KeyAccountCommon

FIGURES = (900, 500, 300, 120, 60, 30, 10, 0)
TABLES = (
    "key_account",
    "key_account_cadence",
    "key_account_due",
    "key_account_policy",
    "key_account_tier",
    "key_account_tier_change",
    "crm_lead",
)


class WhatIfCommon(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.today = clock.get_today(cls.company)
        cls.partners = cls.env["res.partner"].browse()
        for number, _ in enumerate(FIGURES):
            cls.partners |= cls._create_partner(
                f"Customer {number}", user_id=(cls.rep, cls.rep2)[number % 2].id
            )
        cls._create_invoices(
            [
                (partner, figure, cls.today - timedelta(days=20))
                for partner, figure in zip(cls.partners, FIGURES, strict=True)
                if figure
            ]
        )
        cls.env["crm.lead"].create(
            {
                "name": "Deal",
                "partner_id": cls.partners[-1].id,
                "company_id": cls.company.id,
            }
        )
        cls.env["key.account.cadence"].search([]).active = False
        cls.line_a, cls.line_b = cls.env["key.account.cadence"].create(
            [
                {
                    "tier_id": tier.id,
                    "company_id": cls.company.id,
                    "interval_count": count,
                    "track": track,
                }
                for tier, count, track in (
                    (cls.tier_a, 1, "visit"),
                    (cls.tier_b, 2, "contact"),
                )
            ]
        )
        cls.policy.min_tenure_days = 0
        cls.policy = cls.policy.with_user(cls.manager)

    def _preview(self, policy=None, values=None):
        policy = self.policy if policy is None else policy
        action = policy.action_preview(values)
        return (
            self.env[action["res_model"]]
            .with_user(self.manager)
            .browse(action["res_id"])
        )

    def _snapshot(self):
        """Return all that there is in the tables, but the moment of a last run."""
        self.env.flush_all()
        rows = {}
        for table in TABLES:
            self.env.cr.execute(f"SELECT to_jsonb({table}) FROM {table} ORDER BY id")
            rows[table] = self.env.cr.fetchall()
        return rows

    def _share_values(self, *shares):
        return {
            "tier_ids": [
                Command.update(tier.id, {"share": share})
                for tier, share in zip(self.policy._get_tiers(), shares, strict=True)
            ]
        }

    def _recount(self, figures, shares):
        """Return {partner: place of the tier} by Pareto, in plain Python."""
        total = sum(figures.values())
        places = {}
        for partner, figure in figures.items():
            before = sum(other for other in figures.values() if other > figure)
            places[partner] = (
                len(shares) - 1
                if figure <= 0
                else next(
                    place
                    for place, share in enumerate(shares)
                    if before * 100 < share * total
                )
            )
        return places


@tagged("post_install", "-at_install")
class TestWhatIf(WhatIfCommon):
    def test_unsaved_shares(self):
        """Who moves, and the pyramid, as a recount has them; nothing is changed."""
        self.policy._run()
        figures = dict(zip(self.partners, FIGURES, strict=True))
        old = self._recount(figures, (80, 95, 100))
        new = self._recount(figures, (50, 90, 100))
        before = self._snapshot()
        preview = self._preview(values=self._share_values(50, 90, 100))
        self.assertEqual(self._snapshot(), before)
        self.assertEqual(self.tier_a.share, 80)
        tiers = self.policy._get_tiers()
        self.assertEqual(
            {
                (line.partner_id, line.from_tier_id, line.to_tier_id, line.direction)
                for line in preview.line_ids
            },
            {
                (
                    partner,
                    tiers[old[partner]],
                    tiers[new[partner]],
                    "up" if new[partner] < old[partner] else "down",
                )
                for partner in figures
                if old[partner] != new[partner]
            },
        )
        self.assertEqual(preview.line_count, len(preview.line_ids))
        self.assertTrue(preview.is_draft)
        for line in preview.line_ids:
            figure = figures[line.partner_id]
            self.assertEqual((line.figure, line.earlier_figure), (figure, figure))
            self.assertEqual(line.from_name, line.from_tier_id.name)
        for places, kind in ((old, "before"), (new, "after")):
            counts = Counter(places.values())
            revenue = defaultdict(float)
            for partner, place in places.items():
                revenue[place] += figures[partner]
            for place, step in enumerate(preview.tier_ids):
                self.assertEqual(step.name, tiers[place].name)
                self.assertEqual(step[f"count_{kind}"], counts[place])
                self.assertEqual(step[f"revenue_{kind}"], revenue[place])
                self.assertAlmostEqual(
                    step[f"share_{kind}"], 100 * counts[place] / len(figures), 4
                )
                self.assertAlmostEqual(
                    step[f"revenue_share_{kind}"],
                    100 * revenue[place] / sum(FIGURES),
                    4,
                )

    def test_what_was_not_measured_before(self):
        """By another method there is no figure before, and 0 isn't one."""
        self.policy._run()
        preview = self._preview(values=self._share_values(50, 90, 100))
        self.assertEqual(set(preview.line_ids.mapped("has_earlier_figure")), {True})
        criterion = Command.create({"metric": "revenue", "weight": 1})
        values = {"method": "scorecard", "criterion_ids": [criterion]}
        values["tier_ids"] = [
            Command.update(tier.id, {"threshold": threshold})
            for tier, threshold in zip(
                self.policy._get_tiers(), (90, 20, 0), strict=True
            )
        ]
        preview = self._preview(values=values)
        self.assertEqual(set(preview.line_ids.mapped("has_earlier_figure")), {False})

    def test_preview_is_the_run(self):
        self.policy._run()
        values = {
            "method": "pyramid",
            "metric": "margin",
            **self._share_values(25, 50, 100),
        }
        preview = self._preview(values=values)
        shown = {
            line.partner_id: (line.from_tier_id, line.to_tier_id)
            for line in preview.line_ids
        }
        self.assertTrue(shown)
        pyramid = {step.name: step.count_after for step in preview.tier_ids}
        self.policy.write(values)
        changes = self.policy.sudo()._run()
        self.assertEqual(
            {
                change.partner_id: (change.from_tier_id, change.to_tier_id)
                for change in changes
            },
            shown,
        )
        cards = self.Card.search([("company_id", "=", self.company.id)])
        self.assertEqual(
            {name: count for name, count in pyramid.items() if count},
            Counter(card.tier_id.name for card in cards),
        )
        for line in preview.line_ids:
            change = changes.filtered(
                lambda change, line=line: change.partner_id == line.partner_id
            )
            self.assertEqual(change.boundary, line.boundary)
            self.assertEqual(change.earlier_figure, line.earlier_figure)

    def test_who_moves_in_words(self):
        """A first placement is no move up or down, and what nobody does isn't told."""
        preview = self._preview()
        self.assertEqual(preview.moves_text, f"First tier: {len(FIGURES)}")
        self.policy._run()
        preview = self._preview(values=self._share_values(50, 90, 100))
        counts = Counter(preview.line_ids.mapped("direction"))
        self.assertEqual(set(counts), {"down"})
        self.assertEqual(preview.moves_text, f"Down: {counts['down']}")
        self.assertFalse(self._preview().moves_text)

    def test_visits_a_week_against_capacity(self):
        """As a recount has them: 7 days over the interval, a call a quarter."""
        self.company.sudo().key_account_planning = True
        self.policy._run()
        self.Visit._generate(company=self.company)
        self.env["crm.team.member"].search(
            [("user_id", "=", self.rep.id)]
        ).key_account_daily_capacity = 1
        daily = {
            self.rep: 1,
            self.rep2: self.company.key_account_daily_capacity,
        }
        before = self._snapshot()
        preview = self._preview(values=self._share_values(97, 99, 100))
        self.assertEqual(self._snapshot(), before)
        figures = dict(zip(self.partners, FIGURES, strict=True))
        loads = {load.user_id: load for load in preview.load_ids if load.user_id}
        self.assertEqual(loads.keys(), {self.rep, self.rep2})
        for kind, shares in (("before", (80, 95, 100)), ("after", (97, 99, 100))):
            visits = Counter()
            for partner, place in self._recount(figures, shares).items():
                visits[partner.user_id] += (1, 1 / 2 / 4, 0)[place]
            for user, load in loads.items():
                self.assertAlmostEqual(load[f"visits_{kind}"], visits[user], delta=0.01)
        for user, load in loads.items():
            self.assertAlmostEqual(load.capacity, daily[user] * 5, 2)
            self.assertEqual(load.is_over, load.visits_after > load.capacity)
        (team,) = preview.load_ids.filtered("is_team")
        self.assertEqual(team.team_id, self.team)
        self.assertAlmostEqual(
            team.visits_after, sum(load.visits_after for load in loads.values())
        )
        self.assertAlmostEqual(
            team.capacity, sum(load.capacity for load in loads.values())
        )

    def test_overcommitted_and_stretched(self):
        self.company.sudo().key_account_planning = True
        self.policy._run()
        self.line_a.write({"interval_count": 1, "interval_unit": "day"})
        members = self.env["crm.team.member"].search(
            [("user_id", "in", (self.rep | self.rep2).ids)]
        )
        members.key_account_daily_capacity = 1
        preview = self._preview(values=self._share_values(97, 99, 100))
        load = preview.load_ids.filtered(lambda load: load.user_id == self.rep)
        self.assertTrue(load.is_over)
        self.assertAlmostEqual(load.stretch, load.visits_after / load.capacity, 2)
        self.assertEqual(
            preview.over_count,
            len(preview.load_ids.filtered(lambda load: load.user_id and load.is_over)),
        )

    def test_without_planning_no_visits(self):
        self.company.sudo().key_account_planning = False
        self.assertFalse(self._preview().load_ids)

    def test_new_policy_takes_the_place_of_the_one_in_force(self):
        self.policy._run()
        before = self._snapshot()
        values = {
            "name": "New",
            "company_id": self.company.id,
            "method": "threshold",
            "tier_ids": [
                Command.create({"name": "Best", "code": "X", "threshold": 400}),
                Command.create({"name": "Rest", "code": "Y", "sequence": 20}),
            ],
        }
        preview = self._preview(self.policy.browse(), values)
        self.assertEqual(self._snapshot(), before)
        self.assertEqual(preview.replaced, self.policy.name)
        self.assertFalse(preview.policy_id)
        self.assertEqual(
            Counter(preview.line_ids.mapped("to_name")), {"Best": 2, "Rest": 6}
        )
        self.assertFalse(preview.line_ids.to_tier_id, "they exist on the form alone")
        self.assertEqual(
            [
                (step.name, step.count_after)
                for step in preview.tier_ids
                if step.count_after
            ],
            [("Best", 2), ("Rest", 6)],
        )
        self.assertTrue(self.policy.active)
        self.assertEqual(preview.action_run()["infos"], {"key_account_run": True})

    def test_archived_policy(self):
        self.policy._run()
        copy = self.policy.copy()
        copy._get_tiers()[0].share = 50
        self.assertFalse(copy.active)
        preview = self._preview(copy)
        self.assertEqual(preview.replaced, self.policy.name)
        self.assertFalse(preview.is_draft)
        self.assertTrue(preview.line_ids)
        self.assertFalse(copy.active)

    def test_a_check_that_fails_says_so(self):
        before = self._snapshot()
        for values, sentence in (
            (self._share_values(90, 85, 100), "must be above"),
            (self._share_values(80, 95, 99), "reach only"),
            ({"window_months": 0}, "from 1 to 120"),
        ):
            with self.assertRaisesRegex(ValidationError, sentence):
                self.policy.action_preview(values)
        # as core refuses what is missing: with a sentence for the client
        for values in ({"method": False}, {"metric": False}):
            with (
                mute_logger("odoo.sql_db"),
                self.assertRaises(NotNullViolation),
                self.cr.savepoint(),
            ):
                self.policy.action_preview(values)
        for values, sentence in (
            ([1], "as values by field"),
            ({"company_id": "abc"}, "is no id"),
            ({"method": ["pareto"]}, "is no choice"),
            ({"tier_ids": [[1, "a", {"share": 5}]]}, "names no records"),
        ):
            with self.assertRaisesRegex(UserError, sentence):
                self.policy.action_preview(values)
        shared = self.policy.sudo().search([("company_id", "=", False)])
        with self.assertRaisesRegex(UserError, "one of its own"):
            shared.with_user(self.manager).action_preview()
        self.assertEqual(self._snapshot(), before)

    def test_a_tier_that_is_new_on_the_form(self):
        self.policy._run()
        values = {
            "tier_ids": [
                Command.create(
                    {"name": "Top", "code": "S", "sequence": -1, "share": 30}
                )
            ]
        }
        preview = self._preview(values=values)
        (line,) = preview.line_ids
        self.assertEqual((line.to_name, line.direction), ("Top", "up"))
        self.assertEqual(line.partner_id, self.partners[0])
        self.assertEqual(preview.tier_ids[0].name, "Top")

    def test_a_tier_that_is_not_used_any_more(self):
        """Who is in it has a name, and a direction, to come from."""
        self.policy._run()
        among = self.Card.search([("tier_id", "=", self.tier_b.id)]).partner_id
        self.assertTrue(among)
        preview = self._preview(
            values={"tier_ids": [Command.update(self.tier_b.id, {"active": False})]}
        )
        self.assertEqual(preview.line_ids.partner_id, among)
        self.assertEqual(
            {(line.from_name, line.direction) for line in preview.line_ids},
            {(self.tier_b.name, "down")},
        )
        self.assertEqual(
            [(step.name, step.count_after) for step in preview.tier_ids],
            [
                (self.tier_a.name, 3),
                (self.tier_b.name, 0),
                (self.tier_c.name, len(FIGURES) - 3),
            ],
        )
        self.assertEqual(preview.tier_ids[1].count_before, len(among))

    def test_proposing_policy(self):
        self.policy._run()
        self.policy.min_tenure_days = 90
        self.policy.write({"auto_apply": False, **self._share_values(50, 90, 100)})
        proposed = self.policy.sudo()._run()
        preview = self._preview()
        self.assertTrue(preview.is_proposing)
        self.assertEqual(preview.line_ids.partner_id, proposed.partner_id)
        proposed[0].with_user(self.manager).action_reject()
        preview = self._preview()
        self.assertEqual(
            preview.line_ids.partner_id, proposed[1:].partner_id, "said no lately"
        )

    def test_cadence(self):
        self.company.sudo().key_account_planning = True
        self.policy._run()
        self.Visit._generate(company=self.company)
        before = self._snapshot()
        line = self.line_a.with_user(self.manager)
        action = line.action_preview({"interval_unit": "day"})
        self.assertEqual(self._snapshot(), before)
        preview = self.env[action["res_model"]].browse(action["res_id"])
        number = Counter(
            card.user_id
            for card in self.Card.search([("company_id", "=", self.company.id)])
            if card.tier_id == self.tier_a
        )
        for load in preview.load_ids.filtered("user_id"):
            self.assertAlmostEqual(
                load.visits_after - load.visits_before, 6 * number[load.user_id], 2
            )
        # a line that was never saved, for the tier that has no visits
        action = line.browse().action_preview(
            {"tier_id": self.tier_c.id, "company_id": self.company.id}
        )
        self.assertEqual(self._snapshot(), before)
        preview = self.env[action["res_model"]].browse(action["res_id"])
        (team,) = preview.load_ids.filtered("is_team")
        cards = self.Card.search([("tier_id", "=", self.tier_c.id)])
        self.assertAlmostEqual(team.visits_after - team.visits_before, len(cards), 2)
        with self.assertRaisesRegex(ValidationError, "from 1 to"):
            line.action_preview({"interval_count": 0})
        with self.assertRaisesRegex(ValidationError, "is no choice"):
            line.action_preview({"track": "1e5"})
        self.company.sudo().key_account_planning = False
        with self.assertRaisesRegex(UserError, "switch planning on"):
            line.action_preview({})

    def test_rights(self):
        for user in (self.rep, self.leader):
            for records in (self.policy, self.line_a):
                for subject in (records, records.browse()):
                    with self.assertRaises(AccessError):
                        subject.with_user(user).action_preview({"name": "x"})
        preview = self._preview()
        other = self._create_user("ka_manager2", "sales_team.group_sale_manager")
        for model in ("", ".line", ".tier", ".load"):
            records = self.env[f"key.account.tier.preview{model}"]
            self.assertTrue(
                records.with_user(self.manager).search([]) or model == ".load"
            )
            self.assertFalse(records.with_user(other).search([]))
        with self.assertRaises(AccessError):
            preview.with_user(other).action_view_moves()

    def test_other_workers_keep_their_caches(self):
        """What is tried is nobody else's business, in this process or in others."""
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        # core gives it a chart of accounts then
        self.env.cr.flush()
        companies = self.env["res.company"]
        judged = self.env["key.account.policy"]._get_judged_names
        homes = companies._get_key_account_homes()
        self.assertEqual(homes.get(branch.id), self.company.id)
        criterion = Command.create({"metric": "competition", "weight": 1})
        values = {
            "method": "scorecard",
            "criterion_ids": [criterion],
            "tier_ids": [
                Command.update(tier.id, {"threshold": threshold})
                for tier, threshold in zip(
                    self.policy._get_tiers(), (70, 30, 0), strict=True
                )
            ],
        }
        with patch.object(type(self.env.registry), "clear_cache") as clear:
            with trial(self.env):
                self.policy.write({"branches_apart": True, **values})
                self.assertNotIn(branch.id, companies._get_key_account_homes())
                self.assertEqual(judged(self.company.id), ("competition",))
                self.policy.write({"branches_apart": False, "method": "pareto"})
                self.policy.criterion_ids.unlink()
                self.assertEqual(companies._get_key_account_homes(), homes)
                self.assertFalse(judged(self.company.id))
            self._preview(values=values)
            self._preview(values=self._share_values(50, 90, 100))
            self._preview(
                self.policy.browse(),
                {
                    "name": "New",
                    "company_id": self.company.id,
                    "tier_ids": [Command.create({"name": "A", "share": 100})],
                },
            )
            self.company.sudo().key_account_planning = True
            line = self.line_a.with_user(self.manager)
            line.action_preview({"interval_count": 2})
        clear.assert_not_called()
        self.assertEqual(companies._get_key_account_homes(), homes)
        self.assertFalse(judged(self.company.id))

    def test_no_leftovers(self):
        self._preview()
        last = self._preview()
        previews = self.env["key.account.tier.preview"].search(
            [("create_uid", "=", self.manager.id)]
        )
        self.assertEqual(previews, last)
        lines = self.env["key.account.tier.preview.line"].search(
            [("create_uid", "=", self.manager.id)]
        )
        self.assertEqual(lines, last.line_ids)

    def test_queries_do_not_grow(self):
        def count():
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.policy.action_preview(self._share_values(50, 90, 100))
            return self.env.cr.sql_log_count - before

        self.policy._run()
        count()
        few = count()
        partners = self.env["res.partner"].create(
            [{"name": f"More {number}", "user_id": self.rep.id} for number in range(50)]
        )
        self._create_invoices([(partner, 40, self.today) for partner in partners])
        self.policy._run()
        self.assertLessEqual(count(), few)

    def test_lists(self):
        self.policy._run()
        preview = self._preview(values=self._share_values(50, 90, 100))
        action = preview.action_view_moves()
        self.assertEqual(action["target"], "new")
        lines = self.env[action["res_model"]].with_user(self.manager)
        self.assertEqual(lines.search(action["domain"]), preview.line_ids)
        back = lines.with_context(**action["context"]).action_back()
        self.assertEqual(back["res_id"], preview.id)
        self.manager.group_ids += self.env.ref("base.group_allow_export")
        exported = lines.search(action["domain"]).export_data(
            ["partner_id/name", "direction", "from_name", "to_name", "boundary"]
        )
        self.assertEqual(len(exported["datas"]), preview.line_count)

    def test_run_goes_through_it(self):
        self.policy._run()
        self.policy.write(self._share_values(50, 90, 100))
        action = self.policy.action_open_run()
        preview = self.env[action["res_model"]].browse(action["res_id"])
        count = preview.line_count
        self.assertTrue(count)
        result = preview.with_user(self.manager).action_run()
        self.assertIn(f"{count} accounts moved", result["params"]["message"])
        self.assertEqual(
            result["params"]["next"]["type"], "ir.actions.act_window_close"
        )
        self.assertFalse(self._preview().line_count)

    # --- presets ----------------------------------------------------------------------

    def test_usual_shares(self):
        with Form(self.policy) as form:
            form.method = "pyramid"
            self.assertEqual(
                [form.tier_ids.edit(n).share for n in range(3)], [5, 20, 100]
            )
            form.method = "pareto"
        self.assertEqual(self.policy.tier_ids.mapped("share"), [80, 95, 100])

    def test_what_was_entered_stays(self):
        self.policy.write(self._share_values(70, 95, 100))
        draft = self.policy.new({"method": "pyramid"}, origin=self.policy)
        result = draft._onchange_method()
        self.assertEqual(draft.tier_ids.mapped("share"), [70, 95, 100])
        self.assertIn("stays", result["warning"]["message"])
        self.assertIn("5, 20, and 100", result["warning"]["message"])

    def test_thresholds_from_the_books(self):
        self.policy._run()
        draft = self.policy.new({"method": "threshold"}, origin=self.policy)
        draft._onchange_method()
        # 900, 500 and 300 make the first 80 percent of 1920, 120 and 60 the next 15
        self.assertEqual(draft.tier_ids.mapped("threshold"), [300, 60, 0])


@tagged("post_install", "-at_install")
class TestUndo(WhatIfCommon):
    def setUp(self):
        super().setUp()
        self.policy._run(self.today - timedelta(days=10))
        self.policy.write(self._share_values(40, 85, 100))
        self.changes = self.policy.sudo()._run()
        self.assertGreater(len(self.changes), 2)

    def _undo(self, **values):
        action = self.changes.with_user(self.manager).action_open_undo()
        return (
            self.env[action["res_model"]]
            .with_user(self.manager)
            .with_context(**action["context"])
            .create({"reason": "The margin was missing", **values})
        )

    def test_moves_say_where_they_come_from(self):
        """The figure before, and the edge: of the nearest account on the other side."""
        change = self.changes.filtered(
            lambda change: change.partner_id == self.partners[2]
        )
        self.assertEqual(change.to_tier_id, self.tier_b)
        self.assertEqual((change.earlier_figure, change.boundary), (300, 900))
        self.assertIn("before 300.00, boundary 900.00", change.reason)
        self.assertEqual(len(set(self.changes.mapped("run_number"))), 1)

    def test_a_colleague_s_figure_is_not_told(self):
        """With shares the boundary is what another account measures."""
        change = self.changes.filtered(
            lambda change: change.partner_id == self.partners[2]
        )
        change.partner_id.user_id = self.rep
        change.invalidate_recordset()
        own = change.with_user(self.rep)
        self.assertIn("before 300.00", own.reason)
        self.assertNotIn("boundary", own.reason)
        with self.assertRaises(AccessError):
            own.read(["boundary"])
        self.assertIn("boundary 900.00", change.with_user(self.manager).reason)

    def test_rules_hear_of_what_is_undone(self):
        """Where an automation rule waits for tiers, the undo goes through the ORM."""
        heard = []
        cards = type(self.Card)
        self.patch(cards, "_is_watched", lambda self: True)
        write = cards.write

        def listen(cards, vals):
            heard.extend(cards.partner_id if "tier_id" in vals else [])
            return write(cards, vals)

        self.patch(cards, "write", listen)
        tiers = {change.partner_id: change.from_tier_id for change in self.changes}
        self._undo().action_undo()
        self.assertEqual(set(heard), set(tiers))
        for partner, tier in tiers.items():
            card = self._get_card(partner)
            self.assertEqual(card.tier_id, tier)
            self.assertEqual(card.tier_since, self.today - timedelta(days=10))

    def test_words_of_points(self):
        """Points have two decimals in every currency, and no figure is none."""
        measured = self.policy._prepare_measured(71.25, 3)
        text = self.policy._explain_move(self.company, measured, 0)
        self.assertEqual(text, "")
        measured |= {"metric": "score", "before": 69.5}
        text = self.policy._explain_move(self.company, measured, 70)
        self.assertEqual(text, ", before 69.50, boundary 70.00")

    def test_thresholds_cross_the_threshold(self):
        self.policy.write(
            {
                "method": "threshold",
                "tier_ids": [
                    Command.update(tier.id, {"threshold": threshold})
                    for tier, threshold in zip(
                        self.policy._get_tiers(), (1000, 100, 0), strict=True
                    )
                ],
            }
        )
        self.policy.sudo()._run()
        self._create_invoices([(self.partners[6], 2000, self.today)])
        change = self.policy.sudo()._run()
        self.assertEqual(change.partner_id, self.partners[6])
        self.assertEqual(change.from_tier_id, self.tier_c)
        self.assertEqual((change.earlier_figure, change.boundary), (10, 1000))

    def test_undo(self):
        cards = self.Card.search([("company_id", "=", self.company.id)])
        tiers = {change.partner_id: change.from_tier_id for change in self.changes}
        lead = self.env["crm.lead"].create(
            {
                "name": "Deal",
                "partner_id": self.changes[0].partner_id.id,
                "company_id": self.company.id,
            }
        )
        self.assertEqual(lead.account_tier_id, self.changes[0].to_tier_id)
        kept = self.changes[1].partner_id
        locked = self.changes[2].partner_id
        self._set_tier(
            kept, self.tier_c if kept.account_tier_id != self.tier_c else self.tier_b
        )
        locked.with_company(self.company).account_tier_locked_until = date(2199, 1, 1)
        stay = kept | locked
        where = {partner: partner.account_tier_id for partner in stay}
        wizard = self._undo()
        self.assertEqual(wizard.moved_count, len(self.changes) - 2)
        self.assertEqual(wizard.kept_count, 2)
        for partner in stay:
            self.assertIn(partner.name, wizard.kept_names)
        wizard.action_undo()
        for card in cards:
            if card.partner_id in stay:
                self.assertEqual(card.tier_id, where[card.partner_id])
            elif card.partner_id in tiers:
                self.assertEqual(card.tier_id, tiers[card.partner_id])
                self.assertEqual(card.tier_since, self.today - timedelta(days=10))
        self.assertEqual(lead.account_tier_id, self.changes[0].from_tier_id)
        self.assertEqual(set(self.changes.mapped("state")), {"applied"})
        undone = self.env["key.account.tier.change"].search(
            [("reason", "ilike", "Run undone: The margin")]
        )
        self.assertEqual(undone.partner_id, self.changes.partner_id - stay)
        self.assertEqual(undone.user_id, self.manager)
        self.assertFalse(any(undone.mapped("run_number")))
        with self.assertRaisesRegex(UserError, "Nothing is left"):
            self._undo().action_undo()

    def _backdate(self, records, name, hours):
        """As if another transaction had done it, so many hours ago."""
        self.env.flush_all()
        self.env.cr.execute(
            f"UPDATE {records._table} SET {name} = %s WHERE id = ANY(%s)",
            [self.env.cr.now() - timedelta(hours=hours), records.ids],
        )
        self.env.invalidate_all()

    def test_runs_leave_it_undone(self):
        policy = self.policy.sudo()
        moved = self.changes.partner_id
        wizard = self._undo()
        self.assertTrue(wizard.is_held)
        self.assertEqual(wizard.held_until, self.today + timedelta(days=30))
        wizard.action_undo()
        undone = self.changes.search([("undone_at", "!=", False)])
        self.assertEqual(undone.partner_id, moved)
        for record in (policy, policy.tier_ids):
            self._backdate(record, "write_date", 2)
        self._backdate(undone, "undone_at", 1)
        for days in (0, 1, 29):
            self.assertFalse(policy._run(self.today + timedelta(days=days)))
        # nor proposes it, nor does a preview of the same say otherwise
        self.assertFalse(self._preview().line_ids)
        policy.auto_apply = False
        self._backdate(policy, "write_date", 2)
        self.assertFalse(policy._run())
        policy.auto_apply = True
        self._backdate(policy, "write_date", 2)
        # what somebody does about the account is another matter
        one = undone[0]
        other = (policy.tier_ids - one.from_tier_id - one.to_tier_id)[0]
        self._set_tier(one.partner_id, other)
        self.assertEqual(policy._run().partner_id, one.partner_id)
        # as is another policy: the preview knows
        lines = self._preview(values=self._share_values(40, 85, 100)).line_ids
        self.assertEqual(lines.partner_id, moved - one.partner_id)
        # and the minimum tenure ends
        with self.cr.savepoint() as savepoint:
            changes = policy._run(self.today + timedelta(days=30))
            self.assertEqual(changes.partner_id, moved - one.partner_id)
            savepoint.rollback()
        self.env.invalidate_all()
        policy.tier_ids[0].color = 3
        self.assertEqual(policy._run().partner_id, moved - one.partner_id)

    def test_or_the_next_run_decides(self):
        self._undo(is_held=False).action_undo()
        changes = self.policy.sudo()._run()
        self.assertEqual(changes.partner_id, self.changes.partner_id)
        self.assertEqual(
            {change.partner_id: change.to_tier_id for change in changes},
            {change.partner_id: change.to_tier_id for change in self.changes},
        )

    def test_held_for_the_minimum_tenure(self):
        self.policy.sudo().min_tenure_days = 90
        wizard = self._undo()
        self.assertEqual(wizard.held_until, self.today + timedelta(days=90))

    def test_due_dates_follow(self):
        self.company.sudo().key_account_planning = True
        dues = self.env["key.account.due"]
        dues._refresh(self.company)
        before = {row.partner_id: row.tier_id for row in dues.search([])}
        self._undo().action_undo()
        for row in dues.search([("company_id", "=", self.company.id)]):
            self.assertEqual(row.tier_id, row.account_id.tier_id)
        self.assertNotEqual(
            before, {row.partner_id: row.tier_id for row in dues.search([])}
        )

    def test_policy_undoes_the_last_run(self):
        action = self.policy.with_context(
            allowed_company_ids=self.company.ids
        ).action_open_undo()
        change = self.changes.browse(action["context"]["default_change_id"])
        self.assertIn(change, self.changes)

    def test_refused(self):
        changes = self.changes
        for user in (self.rep, self.leader):
            with self.assertRaises(AccessError):
                changes.with_user(user).action_open_undo()
        partner = self.partners[0]
        self._set_tier(partner, self.tier_c)
        by_hand = changes.search([("partner_id", "=", partner.id)], limit=1)
        with self.assertRaisesRegex(UserError, "one run"):
            (by_hand | changes[0]).with_user(self.manager).action_open_undo()
        wizards = self.env["key.account.tier.undo"].with_user(self.manager)
        wizard = wizards.create({"change_id": by_hand.id, "reason": "x"})
        with self.assertRaisesRegex(UserError, "Nothing is left"):
            wizard.action_undo()

    def test_queries_do_not_grow(self):
        def count():
            wizard = self._undo()
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            wizard.action_undo()
            self.env.flush_all()
            return self.env.cr.sql_log_count - before

        few = count()
        partners = self.env["res.partner"].create(
            [{"name": f"More {number}"} for number in range(50)]
        )
        self._create_invoices([(partner, 1, self.today) for partner in partners])
        self.policy.write(self._share_values(80, 95, 100))
        self.policy.sudo()._run()
        self._create_invoices([(partner, 900, self.today) for partner in partners])
        self.changes = self.policy.sudo()._run()
        self.assertGreater(len(self.changes), 50)
        self.assertLessEqual(count(), few + 5)


@tagged("post_install", "-at_install")
class TestProposals(WhatIfCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.policy._run()
        cls.policy.write(
            {
                "auto_apply": False,
                "tier_ids": [
                    Command.update(tier.id, {"share": share})
                    for tier, share in zip(
                        cls.policy._get_tiers(), (50, 90, 100), strict=True
                    )
                ],
            }
        )
        cls.tiers = cls.policy.sudo()._run()
        cls.level = cls.env["key.account.relationship.change"].create(
            {
                "partner_id": cls.partners[0].id,
                "company_id": cls.company.id,
                "from_level": "transactional",
                "to_level": "partner",
                "reason": "They trust us",
                "proposed_user_id": cls.rep.id,
            }
        )
        cls.proposals = (
            cls.env["key.account.proposal"]
            .with_user(cls.manager)
            .search([("company_id", "=", cls.company.id)])
        )

    def test_one_list(self):
        self.assertEqual(len(self.proposals), len(self.tiers) + 1)
        level = self.proposals.filtered(lambda proposal: proposal.kind == "level")
        self.assertEqual(
            (level.from_text, level.to_text, level.direction, level.reason),
            ("Transactional", "Partner", "promotion", "They trust us"),
        )
        for proposal in self.proposals - level:
            change = self.tiers.filtered(
                lambda change, proposal=proposal: (
                    change.partner_id == proposal.partner_id
                )
            )
            self.assertEqual(
                (proposal.from_text, proposal.to_text, proposal.reason),
                (change.from_tier_id.name, change.to_tier_id.name, change.reason),
            )

    def _decide(self, action, note):
        wizard = (
            self.env[action["res_model"]]
            .with_user(self.manager)
            .with_context(**action["context"])
            .create({"note": note})
        )
        self.assertEqual(wizard.proposal_count, len(self.proposals))
        wizard.action_decide()

    def test_apply_many(self):
        self._decide(self.proposals.action_open_apply(), "As discussed")
        self.assertEqual(set(self.tiers.mapped("state")), {"applied"})
        self.assertEqual(set(self.tiers.mapped("note")), {"As discussed"})
        self.assertEqual(self.level.state, "applied")
        for change in self.tiers:
            self.assertEqual(change.partner_id.account_tier_id, change.to_tier_id)
        self.assertEqual(self.partners[0].relationship_level, "partner")
        self.assertFalse(self.proposals.search([("company_id", "=", self.company.id)]))
        # what was applied of a run is undone as a whole
        action = self.tiers.with_user(self.manager).action_open_undo()
        wizard = (
            self.env[action["res_model"]]
            .with_user(self.manager)
            .with_context(**action["context"])
            .create({"reason": "No"})
        )
        wizard.action_undo()
        for change in self.tiers:
            self.assertEqual(change.partner_id.account_tier_id, change.from_tier_id)

    def test_reject_many(self):
        action = self.proposals.action_open_reject()
        with self.assertRaisesRegex(UserError, "Say why"):
            self._decide(action, False)
        self._decide(action, "Too early")
        self.assertEqual(set(self.tiers.mapped("state")), {"rejected"})
        self.assertEqual(self.tiers[0].note, "Too early")
        self.assertEqual(self.level.note, "Too early")

    def test_who_sees_and_decides(self):
        own = self.proposals.with_user(self.rep).search(
            [("company_id", "=", self.company.id)]
        )
        self.assertEqual(own.partner_user_id, self.rep)
        for user in (self.rep, self.leader):
            with self.assertRaises(AccessError):
                own.with_user(user).action_open_apply()

    def test_of_another_policy(self):
        """Its first tier is as good as the first one of this, whatever the numbers."""
        self.tiers.unlink()
        other = self.policy.sudo().copy()
        for tier in other.tier_ids:
            tier.sequence += 70
        changes = self.env["key.account.tier.change"].create(
            [
                {
                    "partner_id": partner.id,
                    "company_id": self.company.id,
                    "from_tier_id": source.id,
                    "to_tier_id": target.id,
                }
                for partner, source, target in zip(
                    self.partners[:3],
                    (self.tier_b, self.tier_b, self.tier_b),
                    other.tier_ids,
                    strict=True,
                )
            ]
        )
        proposals = self.proposals.search([("kind", "=", "tier")])
        directions = {each.change_id: each.direction for each in proposals}
        self.assertEqual(
            [directions[change.id] for change in changes],
            ["promotion", False, "demotion"],
        )


@tagged("post_install", "-at_install")
class TestWhatIfWhileRunning(BaseCase):
    """A preview while another transaction writes the same accounts."""

    def setUp(self):
        super().setUp()
        self.registry = Registry(get_db_name())
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            self.policy_id = env.ref("crm_key_account.policy_default").id
            partner = env["res.partner"].create({"name": "Busy", "is_company": True})
            partner.account_tier_id = env.ref("crm_key_account.tier_key")
            self.partner_id = partner.id
            # the run has something to write
            partner.key_account_id.sudo().write({"revenue": 7, "is_account": True})
        self.addCleanup(self._clean_up)

    def _clean_up(self):
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            env["res.partner"].browse(self.partner_id).unlink()

    def test_says_so(self):
        with self.registry.cursor() as running, self.registry.cursor() as cr:
            running.execute(
                "SELECT FROM key_account WHERE partner_id = %s FOR UPDATE",
                [self.partner_id],
            )
            env = api.Environment(cr, SUPERUSER_ID, {})
            policy = env["key.account.policy"].browse(self.policy_id)
            runs = policy.last_run
            with self.assertRaisesRegex(UserError, "try again in a minute"):
                policy.action_preview({"hysteresis": 7})
            self.assertNotEqual(policy.hysteresis, 7)
            self.assertEqual(policy.last_run, runs)
            cr.execute("SHOW lock_timeout")
            self.assertEqual(cr.fetchone(), ("0",))
            running.rollback()
            preview = policy.action_preview({"hysteresis": 7})
            self.assertTrue(preview["res_id"])
            cr.rollback()
