import random
from collections import defaultdict
from datetime import date, datetime, timedelta

from freezegun import freeze_time

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, tagged

from ...models.portfolio import portfolio as module
from ..common import SALES_ADMIN, TODAY, KeyAccountCommon

WINDOW = (date(2025, 3, 19), TODAY)
SPRING = (date(2026, 2, 1), date(2026, 3, 10))
EMPTY = (date(2020, 1, 1), date(2020, 12, 31))
LEVELS = ["transactional", "preferred_supplier", "partner", "strategic_alliance"]


class PortfolioCommon(KeyAccountCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        freezer = freeze_time(f"{TODAY} 09:00:00")
        freezer.start()
        cls.addClassCleanup(freezer.stop)
        cls._set_up_cadence()

    @classmethod
    def _set_up_cadence(cls):
        cls.env["key.account.cadence"].search([]).active = False
        cls.env["key.account.cadence"].create(
            [
                {
                    "company_id": cls.company.id,
                    "tier_id": tier.id,
                    "track": track,
                    "interval_count": count,
                    "interval_unit": "week",
                }
                for tier, track, count in (
                    (cls.tier_a, "visit", 1),
                    (cls.tier_b, "visit", 2),
                    (cls.tier_b, "contact", 3),
                )
            ]
        )

    @classmethod
    def _fill(cls, seed=1, count=14):
        """Customers of two salespeople and of nobody, with invoices, refunds, visits,
        calls, meetings and moves."""
        rng = random.Random(seed)
        owners = [cls.rep.id, cls.rep2.id, False]
        partners = cls.env["res.partner"].union(
            *(
                cls._create_partner(f"Customer {number}", user_id=rng.choice(owners))
                for number in range(count)
            )
        )
        rows = []
        for partner in partners:
            for _ in range(rng.randint(0, 3)):
                day = TODAY - timedelta(days=rng.randint(0, 500))
                values = {}
                if rng.random() < 0.2:
                    values["move_type"] = "out_refund"
                if rng.random() < 0.3:
                    values["invoice_line_ids"] = [
                        Command.create(
                            {
                                "product_id": cls.product.id,
                                "price_unit": rng.choice([100, 55.5]),
                                "quantity": rng.randint(1, 9),
                                "tax_ids": [Command.clear()],
                            }
                        )
                    ]
                rows.append(
                    (partner, rng.choice([100, 100, 250.25, 4000]), day, values)
                )
        # two equal ones, and one that would be no account
        rows.append((partners[0], 777, TODAY))
        rows.append((partners[1], 777, TODAY))
        cls._create_invoices(rows)
        cls.env["crm.lead"].create(
            [
                {
                    "name": f"Lead of {partner.name}",
                    "partner_id": partner.id,
                    "company_id": cls.company.id,
                }
                for partner in partners
            ]
        )
        cls.policy._run(TODAY)
        for partner in partners:
            if rng.random() < 0.5:
                partner.relationship_level = rng.choice(LEVELS)
            for _ in range(rng.randint(0, 5)):
                cls._visit(
                    partner,
                    TODAY - timedelta(days=rng.randint(0, 500)),
                    rng.choice(["visit", "visit", "contact", "executive"]),
                    rng.choice([None, None, 0.5, 2, "all day"]),
                )
        moving = rng.sample(list(partners), 5)
        for partner, (*tiers, days) in zip(
            moving,
            (
                ("a", "b", 10),
                ("b", "a", 20),
                ("b", "c", 300),
                ("c", "b", 30),
                (None, "c", 40),
            ),
            strict=True,
        ):
            cls._move(partner, *tiers, days)
        # there and back again is no move
        cls._move(moving[0], "b", "a", 5)
        # further on
        cls._move(moving[1], "a", "c", 15)
        return partners

    @classmethod
    def _visit(cls, partner, day, track="visit", hours=None):
        visit = cls.Visit.create(
            {
                "partner_id": partner.id,
                "user_id": cls.rep.id,
                "track": track,
                "state": "done",
                "date_planned": day,
                "date_done": day,
            }
        )
        if hours:
            start = datetime.combine(day, datetime.min.time()) + timedelta(hours=9)
            is_all_day = hours == "all day"
            length = timedelta(hours=1 if is_all_day else hours)
            visit.sudo().calendar_event_id = cls.env["calendar.event"].create(
                {
                    "name": "Meeting",
                    "start": start,
                    "stop": start + length,
                    "allday": is_all_day,
                    "start_date": day,
                    "stop_date": day,
                }
            )
        return visit

    @classmethod
    def _move(cls, partner, before, after, days):
        tiers = {"a": cls.tier_a, "b": cls.tier_b, "c": cls.tier_c}
        cls.env["key.account.tier.change"].create(
            {
                "partner_id": partner.id,
                "company_id": cls.company.id,
                "from_tier_id": before and tiers[before].id,
                "to_tier_id": tiers[after].id,
                "state": "applied",
                "date": TODAY - timedelta(days=days),
            }
        )

    def _get(self, user=None, **filters):
        if "period" in filters:
            first, last = filters.pop("period")
            filters |= {"date_from": str(first), "date_to": str(last)}
        self.env.flush_all()
        self.env.invalidate_all()
        return self._as(user or self.leader)["key.account.portfolio"].get_portfolio(
            **filters
        )

    def _as(self, user):
        """Return the environment of a web client's request."""
        return self.env(
            user=user,
            context={
                "allowed_company_ids": (user.company_id | user.company_ids).ids,
                "lang": "en_US",
            },
        )

    def _open(self, data, domain, user=None):
        """Return what is behind a figure."""
        accounts = self._as(user or self.leader)["key.account"]
        return accounts.with_context(**data["context"]).search(domain)

    # --- the recount ------------------------------------------------------------------

    def _recount(self, partners, first, last):
        """Return {account: figures} by plain Python."""
        figures = {}
        cards = self.Card.search([("partner_id", "in", partners.ids)])
        for card in cards.filtered("is_account"):
            moves = self.env["account.move"].search(
                [
                    ("commercial_partner_id", "=", card.partner_id.id),
                    ("move_type", "in", ("out_invoice", "out_refund")),
                    ("state", "=", "posted"),
                    ("invoice_date", ">=", first),
                    ("invoice_date", "<=", last),
                ]
            )
            revenue = margin = 0
            for line in moves.invoice_line_ids:
                sign = -1 if line.move_type == "out_refund" else 1
                revenue += sign * line.price_subtotal
                margin += sign * (
                    line.price_subtotal - line.quantity * line.product_id.standard_price
                )
            visits = self.Visit.search(
                [("partner_id", "=", card.partner_id.id), ("state", "=", "done")]
            ).filtered(lambda visit: first <= visit.date_done <= last)
            hours = 0
            for visit in visits:
                event = visit.calendar_event_id
                if event and not event.allday:
                    hours += event.duration
                else:
                    hours += 0.25 if visit.mode == "phone" else 1
            figures[card] = {
                "count": 1,
                "revenue": round(revenue, 2),
                "margin": round(margin, 2),
                "visits": len(visits.filtered(lambda visit: visit.track != "contact")),
                "hours": hours,
            }
        return figures

    def _sum(self, rows, name):
        return sum(row[name] for row in rows)


@tagged("post_install", "-at_install")
class TestPortfolio(PortfolioCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.partners = cls._fill()
        cls.lone = cls._create_user("ka_lone", "sales_team.group_sale_salesman")

    def test_figures(self):
        """Of every user, filter and period, by a recount in Python."""
        partners = self.partners
        own = partners.filtered(
            lambda partner: partner.user_id in (self.rep, self.none)
        )
        for name, user, filters, those in (
            ("leader", self.leader, {}, partners),
            ("manager", self.manager, {}, partners),
            ("own", self.rep, {}, own),
            ("only own", self.rep, {"user_id": self.rep.id}, own.filtered("user_id")),
            (
                "a salesperson",
                self.leader,
                {"user_id": self.rep2.id},
                partners.filtered(lambda partner: partner.user_id == self.rep2),
            ),
            (
                "team",
                self.leader,
                {"team_id": self.team.id},
                partners.filtered("user_id"),
            ),
        ):
            for period in (None, WINDOW, SPRING, EMPTY):
                with self.subTest(who=name, period=period):
                    if period:
                        filters = {**filters, "period": period}
                    data = self._get(user, **filters)
                    self.assertEqual(data["state"], "ok")
                    figures = self._recount(those, *(period or WINDOW))
                    self._check_pyramid(user, data, figures)
                    self._check_curve(user, data, figures)
                    self._check_effort(user, data, figures)
                    self._check_moves(user, data, figures)

    @property
    def none(self):
        return self.env["res.users"]

    def _check_pyramid(self, user, data, figures):
        total = data["total"]
        for name in module.FIGURES:
            self.assertAlmostEqual(
                total[name], self._sum(figures.values(), name), 4, name
            )
        self.assertEqual(
            self._open(data, total["domain"], user),
            self.Card.union(*figures)
            .with_env(self.env)
            .sorted(lambda card: (card.rank, card.id)),
        )
        for row in data["tiers"]:
            those = {
                card: values
                for card, values in figures.items()
                if card.tier_id.id == row["id"]
            }
            for name in module.FIGURES:
                figure = self._sum(those.values(), name)
                self.assertAlmostEqual(row[name], figure, 4)
                if total[name] > 0:
                    self.assertAlmostEqual(
                        row["shares"][name], 100 * figure / total[name]
                    )
                else:
                    self.assertIsNone(row["shares"][name])
            opened = self._open(data, row["domain"], user)
            self.assertEqual(set(opened.ids), {card.id for card in those})
            for card in opened:
                values = figures[card.with_env(self.env)]
                self.assertAlmostEqual(card.period_revenue, values["revenue"])
                self.assertAlmostEqual(card.period_margin, values["margin"])
                self.assertEqual(card.period_visit_count, values["visits"])
                self.assertAlmostEqual(card.period_hours, values["hours"])

    def test_tiers_in_order(self):
        tiers = self._get()["tiers"]
        names = [row["name"] for row in tiers if row["id"]]
        self.assertEqual(names, self.policy.tier_ids.mapped("name"))

    def _check_curve(self, user, data, figures):
        revenues = sorted(
            (max(row["revenue"], 0) for row in figures.values()), reverse=True
        )
        total = sum(revenues)
        points = data["curve"]["points"]
        self.assertEqual(
            [point["count"] for point in points],
            # of equal ones, the last place
            [
                number
                for number, revenue in enumerate(revenues, 1)
                if revenue > 0 and revenue not in revenues[number:]
            ],
        )
        for point in points:
            best = revenues[: point["count"]]
            self.assertAlmostEqual(point["revenue"], sum(best))
            self.assertAlmostEqual(point["revenue_share"], 100 * sum(best) / total)
            self.assertAlmostEqual(
                point["count_share"], 100 * len(best) / len(revenues)
            )
            opened = self._open(data, point["domain"], user)
            self.assertEqual(len(opened), point["count"])
        few = data["curve"]["few"]
        if not points:
            self.assertIsNone(few)
            return
        enough = [point for point in points if point["revenue"] >= 0.8 * total - 1e-9]
        self.assertEqual(few, enough[0])

    def test_curve_of_many(self):
        """At most a hundred points, and the best account."""
        self._create_invoices(
            [
                (self._create_partner(f"More {number}"), 1000 + number, TODAY)
                for number in range(120)
            ]
        )
        self.policy._run(TODAY)
        data = self._get()
        points = data["curve"]["points"]
        self.assertLessEqual(len(points), 101)
        self.assertEqual(points[0]["count"], 1)
        counts = [point["count"] for point in points]
        self.assertEqual(counts, sorted(set(counts)))
        for point in points[::7]:
            self.assertEqual(len(self._open(data, point["domain"])), point["count"])

    def _check_effort(self, user, data, figures):
        effort = data["effort"]
        active = {
            card: row
            for card, row in figures.items()
            if row["revenue"] > 0 or row["visits"]
        }
        self.assertEqual(effort["count"], len(active))
        if not active:
            self.assertEqual(effort["points"], [])
            return
        revenue = round(self._sum(active.values(), "revenue") / len(active), 2)
        visits = round(self._sum(active.values(), "visits") / len(active), 2)
        self.assertAlmostEqual(effort["average_revenue"], revenue, 1)
        self.assertAlmostEqual(effort["average_visits"], visits, 1)
        fits = {}
        for card, row in active.items():
            enough = row["revenue"] > 0 and row["revenue"] >= revenue
            if enough and row["visits"] < visits:
                fits[card] = "too_little"
            elif row["revenue"] < revenue and row["visits"] > visits:
                fits[card] = "too_much"
        for key, group in effort["groups"].items():
            those = [card for card, fit in fits.items() if fit == key]
            self.assertEqual(group["count"], len(those))
            for name in ("revenue", "visits"):
                self.assertAlmostEqual(
                    group[name], sum(figures[card][name] for card in those)
                )
            opened = self._open(data, group["domain"], user)
            self.assertEqual(set(opened.ids), {card.id for card in those})
        # few enough to draw all of them
        self.assertEqual(
            {
                point["id"]: (
                    point["name"],
                    point["level"],
                    round(point["revenue"], 2),
                    point["visits"],
                    point["fit"],
                )
                for point in effort["points"]
            },
            {
                card.id: (
                    card.partner_id.name,
                    card.relationship_level,
                    row["revenue"],
                    row["visits"],
                    fits.get(card, False),
                )
                for card, row in active.items()
            },
        )

    def test_effort_of_many(self):
        """Only the accounts with the most revenue or visits are drawn."""
        self.patch(module, "MOST_REVENUE", 2)
        self.patch(module, "MOST_VISITS", 1)
        data = self._get()
        figures = self._recount(self.partners, *WINDOW)
        by_revenue = sorted(
            figures, key=lambda card: (-figures[card]["revenue"], card.id)
        )
        by_visits = sorted(
            figures, key=lambda card: (-figures[card]["visits"], card.id)
        )
        self.assertEqual(
            {point["id"] for point in data["effort"]["points"]},
            {card.id for card in (*by_revenue[:2], *by_visits[:1])},
        )

    def test_load(self):
        self.env["key.account.due"].sudo()._refresh(self.company)
        dues = self.env["key.account.due"].search(
            [("company_id", "=", self.company.id)]
        )
        self.assertTrue(dues)
        for user, filters, shown in (
            (self.leader, {}, None),
            (self.leader, {"user_id": self.rep.id}, {self.rep.id}),
            (self.leader, {"team_id": self.team.id}, {self.rep.id, self.rep2.id}),
            (self.rep, {}, {self.rep.id}),
        ):
            with self.subTest(user=user.login, filters=filters):
                data = self._get(user, **filters)
                rows = {row["id"]: row for row in data["load"]["rows"]}
                if shown is not None:
                    self.assertEqual(rows.keys(), shown)
                expected = defaultdict(float)
                accounts = defaultdict(self.Card.browse)
                for due in dues:
                    load = 0.25 if due.track == "contact" else 1
                    expected[due.user_id.id] += load * 7 / due.days
                    accounts[due.user_id.id] |= due.account_id
                for user_id, row in rows.items():
                    self.assertAlmostEqual(row["load"], expected[user_id], 2)
                    self.assertEqual(row["count"], len(accounts[user_id]))
                    self.assertEqual(
                        set(self._open(data, row["domain"], user).ids),
                        set(accounts[user_id].ids),
                    )
                    if user_id:
                        # five days of six visits
                        self.assertEqual(row["capacity"], 30)
                        self.assertAlmostEqual(
                            row["percent"], 100 * row["load"] / 30, 4
                        )
                        self.assertEqual(row["is_over"], row["load"] > 30)

    def test_load_without_time(self):
        self.team.sudo().crm_team_member_ids.filtered(
            lambda member: member.user_id == self.rep
        ).key_account_daily_capacity = 1
        self.env["key.account.due"].sudo()._refresh(self.company)
        self.env["key.account.due"].search(
            [("user_id", "=", self.rep.id)]
        ).sudo().days = 1
        row = next(
            row for row in self._get()["load"]["rows"] if row["id"] == self.rep.id
        )
        self.assertEqual(row["capacity"], 5)
        self.assertTrue(row["is_over"])
        self.company.key_account_planning = False
        self.assertEqual(self._get()["load"], {"is_planned": False, "rows": []})

    def _check_moves(self, user, data, figures):
        first, last = (
            date.fromisoformat(data["period"][key]) for key in ("first", "last")
        )
        expected = defaultdict(set)
        for card in figures:
            changes = self.env["key.account.tier.change"].search(
                [
                    ("partner_id", "=", card.partner_id.id),
                    ("state", "=", "applied"),
                    ("date", ">=", first),
                    ("date", "<=", last),
                ],
                order="date, id",
            )
            if changes and changes[0].from_tier_id != changes[-1].to_tier_id:
                key = (changes[0].from_tier_id, changes[-1].to_tier_id)
                expected[key].add(card.id)
        rows = data["moves"]["rows"]
        self.assertEqual(
            {(row["from"], row["to"]): row["count"] for row in rows},
            {
                (before.name or "No tier", after.name): len(ids)
                for (before, after), ids in expected.items()
            },
        )
        for row in rows:
            [ids] = [
                ids
                for (before, after), ids in expected.items()
                if (before.name or "No tier", after.name) == (row["from"], row["to"])
            ]
            opened = self._open(data, row["domain"], user)
            self.assertEqual(set(opened.ids), ids)
            for card in opened:
                self.assertEqual(card.period_to_tier_id.name, row["to"])
            order = [*self.policy.tier_ids.mapped("name"), "No tier"]
            is_up = order.index(row["to"]) < order.index(row["from"])
            self.assertEqual(row["direction"], "up" if is_up else "down")
        for direction in ("up", "down"):
            self.assertEqual(
                data["moves"][direction],
                sum(row["count"] for row in rows if row["direction"] == direction),
            )
        changes = self._as(user)["key.account.tier.change"].search(
            data["moves"]["changes_domain"]
        )
        self.assertTrue(
            set().union(*expected.values())
            <= set(self.Card.search([("partner_id", "in", changes.partner_id.ids)]).ids)
        )

    def test_moves_to_another_policy(self):
        """Its first tier is as good as the first one of this, whatever the numbers."""
        other = self.policy.copy()
        for tier in other.tier_ids:
            tier.write({"name": f"Other {tier.name}", "sequence": tier.sequence + 70})
        partners = self.env["res.partner"].union(
            *(self._create_partner(f"Moving {number}") for number in range(3))
        )
        self._create_invoices([(partner, 5, TODAY) for partner in partners])
        self.policy._run(TODAY)
        for partner, tier in zip(partners, other.tier_ids, strict=True):
            self._move(partner, "b", "b", 3)
            self.env["key.account.tier.change"].search(
                [("partner_id", "=", partner.id)], limit=1
            ).to_tier_id = tier
        moves = self._get()["moves"]
        rows = {row["to"]: row for row in moves["rows"]}
        self.assertEqual(
            [rows[tier.name]["direction"] for tier in other.tier_ids],
            ["up", "same", "down"],
        )
        for direction in ("up", "down"):
            self.assertEqual(
                moves[direction],
                sum(
                    row["count"]
                    for row in moves["rows"]
                    if row["direction"] == direction
                ),
            )

    # --- who ------------------------------------------------------------------------

    def test_rights(self):
        for login, groups in (
            ("ka_outside", "base.group_user"),
            ("ka_visitor", "base.group_portal"),
        ):
            user = self._create_user(login, groups)
            portfolio = self.env(user=user, context={})["key.account.portfolio"]
            with self.assertRaises(AccessError):
                portfolio.get_portfolio()

    def test_own_documents(self):
        """No figure, name or choice of a colleague's."""
        for filters in (
            {},
            {"user_id": self.rep2.id},
        ):
            data = self._get(self.rep, **filters)
            self.assertNotIn(self.rep2.name, str(data))
            for partner in self.partners.filtered(lambda p: p.user_id == self.rep2):
                self.assertNotIn(f"'{partner.name}'", str(data))
        with self.assertRaises(UserError):
            self._get(self.rep, team_id=self.team.id)
        data = self._get(self.rep)
        self.assertEqual(data["teams"], [])
        self.assertEqual([user["id"] for user in data["users"]], [self.rep.id])

    def _run_there(self, company):
        policy = self.policy.copy({"company_id": company.id})
        policy.active = True
        policy._run(TODAY)

    def test_other_company(self):
        other = self._create_company("Other Company")
        foreigner = self._create_user("ka_foreign", SALES_ADMIN, company=other)
        self.assertEqual(self._get(foreigner)["state"], "never_run")
        for company in (self.company.id, 10**6):
            with self.assertRaises(UserError):
                self._get(foreigner, company_id=company)
        self._run_there(other)
        data = self._get(foreigner)
        self.assertEqual(data["state"], "empty")
        self.assertNotIn(self.rep.name, str(data))

    def test_two_companies(self):
        """One at a time, in its currency."""
        other = self._create_company("Dollar Company", "base.USD")
        partner = self._create_partner("Both")
        self._create_invoices([(partner, 500, TODAY)])
        self._create_invoices([(partner, 70, TODAY)], other)
        self._run_there(other)
        self.policy._run(TODAY)
        both = self._create_user("ka_both", SALES_ADMIN)
        both.company_ids |= other
        data = self._get(both)
        self.assertEqual(len(data["companies"]), 2)
        self.assertEqual(data["company"]["id"], self.company.id)
        for filters in ({}, {"period": WINDOW}):
            data = self._get(both, company_id=other.id, **filters)
            self.assertEqual(data["total"]["revenue"], 70)
            self.assertEqual(data["currency_id"], other.currency_id.id)
            self.assertEqual(len(self._open(data, data["total"]["domain"], both)), 1)

    def test_branch(self):
        """The accounts of a branch are in the company that keeps them."""
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        there = self._create_user("ka_there", SALES_ADMIN, branch)
        data = self._get(there)
        self.assertEqual(data["state"], "elsewhere")
        self.assertEqual(data["home"], self.company.name)
        with self.assertRaisesRegex(UserError, "ask to work there as well"):
            self._get(there, company_id=branch.id)

    def test_team_of_a_branch(self):
        """It serves accounts of the company that keeps them, as others do."""
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        (self.env.user | self.leader | self.lone).company_ids += branch
        self.partners[0].user_id = self.lone
        team = self.env["crm.team"].create(
            {
                "name": "Branch Team",
                "company_id": branch.id,
                "user_id": False,
                "member_ids": [Command.set(self.lone.ids)],
            }
        )
        data = self._get(self.leader)
        self.assertIn(team.id, [each["id"] for each in data["teams"]])
        self.assertIn(self.lone.id, [row["id"] for row in data["load"]["rows"]])
        data = self._get(self.leader, team_id=team.id)
        self.assertEqual(data["total"]["count"], 1)

    # --- states and bad input -------------------------------------------------------

    def test_states(self):
        data = self._get(self.leader, user_id=self.lone.id)
        self.assertEqual(data["state"], "empty")
        self.env["res.partner"].search([("user_id", "=", False)]).user_id = self.rep
        self.assertEqual(self._get(self.lone)["state"], "empty")
        self.company.key_account_computed_at = False
        data = self._get()
        self.assertEqual(data["state"], "never_run")
        self.assertEqual(data["policy_id"], self.policy.id)
        self.assertFalse(data["can_configure"])
        self.assertTrue(self._get(self.manager)["can_configure"])

    def test_without_policy(self):
        self.policy.active = False
        self.env["key.account.policy"].search([]).active = False
        for filters in ({}, {"period": SPRING}):
            data = self._get(**filters)
            figures = self._recount(
                self.partners, *(filters and SPRING or WINDOW)
            ).values()
            self.assertAlmostEqual(
                data["total"]["revenue"], self._sum(figures, "revenue")
            )

    def test_bad_input(self):
        for filters in (
            {"date_from": "2026-01-01"},
            {"date_to": "2026-01-01"},
            {"date_from": "2026-02-01", "date_to": "2026-01-01"},
            {"date_from": "yesterday", "date_to": "2026-01-01"},
            {"date_from": "0001-01-01", "date_to": "9999-12-31"},
            {"company_id": "x"},
            {"company_id": -1},
            {"team_id": 10**6},
            {"team_id": [1]},
            {"user_id": "me"},
        ):
            with self.subTest(filters), self.assertRaises(UserError):
                self._get(**filters)
        self.assertEqual(self._get(user_id=10**6)["state"], "empty")

    def test_search(self):
        for name in (
            "period_revenue",
            "period_margin",
            "period_visit_count",
            "period_hours",
        ):
            for operator, value in ((">", "much"), ("=", 5), ("ilike", "5")):
                with self.assertRaises(UserError):
                    self.Card.search([(name, operator, value)])
            accounts = self.Card.search([("partner_id", "in", self.partners.ids)])
            found = self.Card.search(
                [("partner_id", "in", self.partners.ids), (name, ">", 1)]
            )
            self.assertEqual(found, accounts.filtered(lambda card: card[name] > 1))  # noqa: B023
        moved = accounts.filtered("period_to_tier_id")
        self.assertTrue(moved)
        self.assertEqual(
            accounts.search(
                [("id", "in", accounts.ids), ("period_to_tier_id", "!=", False)]
            ),
            moved,
        )

    def test_queries(self):
        """As many for one account as for fifty."""

        def count():
            self._get()
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            self._as(self.leader)["key.account.portfolio"].get_portfolio()
            return self.cr.sql_log_count - before

        few = count()
        self._fill(seed=2, count=50)
        self.assertLessEqual(count(), few)


@tagged("post_install", "-at_install")
class TestRandomBooks(PortfolioCommon):
    def test_random(self):
        """The totals of other books."""
        for seed in range(3, 6):
            with self.subTest(seed=seed):
                savepoint = self.env.cr.savepoint()
                partners = self._fill(seed)
                for period in (None, SPRING):
                    data = self._get(**({"period": period} if period else {}))
                    figures = self._recount(partners, *(period or WINDOW)).values()
                    for name in module.FIGURES:
                        self.assertAlmostEqual(
                            data["total"][name], self._sum(figures, name), 4
                        )
                savepoint.close(rollback=True)
                self.env.invalidate_all()

    def test_one_account(self):
        partner = self._create_partner("Only Customer")
        self._create_invoices([(partner, 100, TODAY)])
        self.policy._run(TODAY)
        data = self._get()
        self.assertEqual(data["total"]["count"], 1)
        [point] = data["curve"]["points"]
        self.assertEqual((point["count_share"], point["revenue_share"]), (100, 100))
        [row] = [row for row in data["tiers"] if row["count"]]
        self.assertEqual(
            row["shares"],
            {
                "count": 100,
                "revenue": 100,
                "margin": 100,
                "visits": None,
                "hours": None,
            },
        )
        self.assertEqual(data["effort"]["groups"]["too_little"]["count"], 0)

    def test_only_losses(self):
        """Nothing is a share of less than nothing."""
        partner = self._create_partner("Returns")
        self._create_invoices([(partner, 100, TODAY, {"move_type": "out_refund"})])
        self.policy._run(TODAY)
        data = self._get()
        self.assertEqual(data["total"]["revenue"], -100)
        self.assertIsNone(data["tiers"][-1]["shares"]["revenue"])
        self.assertEqual(data["curve"]["points"], [])
        self.assertIsNone(data["curve"]["few"])


class TourCommon(KeyAccountCommon, HttpCase):
    def _invoice(self, *rows):
        """Customers with an invoice of today, and their tiers."""
        self._create_invoices(
            [
                (
                    self._create_partner(name, user_id=user.id),
                    amount,
                    fields.Date.today(),
                )
                for name, user, amount in rows
            ]
        )
        self.policy._run()


@tagged("post_install", "-at_install")
class TestPortfolioTours(TourCommon):
    def test_director(self):
        """From the pyramid to its accounts, and back to the same pictures."""
        self._invoice(
            ("First Customer", self.rep, 8000),
            ("Second Customer", self.rep2, 1500),
            ("Third Customer", self.rep, 500),
        )
        self.start_tour(
            "/odoo/key-account-portfolio", "key_account_portfolio", login="ka_leader"
        )

    def test_figure_of_zero(self):
        """What it leads to isn't a blank page."""
        self._invoice(("First Customer", self.rep, 8000))
        self.start_tour(
            "/odoo/key-account-portfolio",
            "key_account_portfolio_zero",
            login="ka_leader",
        )

    def test_never_run(self):
        """An administrator goes from an empty screen to the policy."""
        self.start_tour(
            "/odoo/key-account-portfolio",
            "key_account_portfolio_never_run",
            login="ka_manager",
        )

    def test_outside(self):
        self._create_user("ka_outside", "base.group_user")
        self.start_tour(
            "/odoo/key-account-portfolio",
            "key_account_portfolio_outside",
            login="ka_outside",
        )


@tagged("post_install", "-at_install")
class TestPortfolioPhoneTours(TourCommon):
    browser_size = "375x667"
    touch_enabled = True

    def test_rep(self):
        """A salesperson sees own accounts, on a phone without scrolling sideways."""
        self._invoice(
            ("Own Customer", self.rep, 900), ("Other Customer", self.rep2, 100)
        )
        self.start_tour(
            "/odoo/key-account-portfolio", "key_account_portfolio_phone", login="ka_rep"
        )
