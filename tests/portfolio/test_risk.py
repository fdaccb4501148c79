import random
from collections import defaultdict
from datetime import date, timedelta
from statistics import median

from freezegun import freeze_time

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain
from odoo.tests import tagged

from ..common import TODAY, KeyAccountCommon

THIS, BEFORE = date(2025, 6, 1), date(2024, 6, 1)
COLUMNS = [
    "complaint_count",
    "cost_share",
    "group_id",
    "group_share",
    "growth",
    "growth_path",
    "is_candidate",
    "is_concentrated",
    "is_conceding",
    "is_shrinking",
    "is_silent",
    "is_single_order",
    "silence",
    "wallet_share",
]


def net(listed, discount):
    return round(listed * (1 - discount / 100), 2)


class RiskCommon(KeyAccountCommon):
    """Random books, and what plain Python makes of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.startClassPatcher(freeze_time("2026-03-18 09:00:00"))
        cls.env["key.account.cadence"].search([]).active = False
        cls.company.key_account_planning = False
        cls.Risk = cls.env["key.account.risk"]
        rand = random.Random(12)
        cls.holding = cls._create_partner("Holding", user_id=cls.rep2.id)
        users = (cls.rep, cls.rep2, cls.env["res.users"])
        cls.partners = cls.env["res.partner"].union(
            *(
                cls._create_partner(
                    f"Customer {number}",
                    user_id=rand.choice(users).id,
                    parent_id=number in (3, 7, 11) and cls.holding.id,
                )
                for number in range(24)
            )
        )
        cls.prospect = cls._create_partner("Prospect")
        cls.env["crm.lead"].create(
            {
                "name": "Deal",
                "partner_id": cls.prospect.id,
                "company_id": cls.company.id,
                "user_id": cls.rep.id,
                "expected_revenue": 900,
            }
        )
        # partner, amount, day: also credit notes, and what lies outside the windows
        cls.books = [
            (partner, 20 + rand.paretovariate(1.1) * 100 // 1, day)
            for partner in cls.partners
            for day in (THIS, BEFORE)
            if rand.random() < 0.85
            for _ in range(rand.randint(1, 3))
        ]
        cls.books += [
            (cls.partners[0], 5000, date(2023, 1, 1)),
            (cls.partners[22], 40, BEFORE),
            (cls.partners[22], 1500, THIS),
            (cls.partners[1], 77, TODAY),
            (cls.partners[1], 78, TODAY + timedelta(days=1)),
            (cls.partners[2], 79, date(2025, 3, 18)),
            (cls.partners[2], 80, date(2025, 3, 19)),
        ]
        cls._create_invoices(cls.books)
        # partner, list price, discount in percent, day: of something that costs 40
        cls.partners += cls._create_partner("Cheap")
        cls.priced = [(cls.partners[24], 60, 30, TODAY - timedelta(days=9))]
        for partner in cls.partners[12:22]:
            gap, last = rand.choice([7, 20, 45]), rand.choice([3, 30, 91])
            cls.priced += [
                (
                    partner,
                    rand.choice([46, 60, 400]),
                    rand.choice([0, 10, 12, 30]),
                    TODAY - timedelta(days=last + number * gap + number % 2),
                )
                for number in range(rand.randint(2, 7))
            ]
        cls._create_invoices(
            [
                (partner, 0, day, cls._prepare_line(listed, discount))
                for partner, listed, discount, day in cls.priced
            ]
        )
        cls.refunds = [(cls.partners[4], 9999, THIS), (cls.partners[5], 30, THIS)]
        cls._create_invoices(
            [(*row, {"move_type": "out_refund"}) for row in cls.refunds]
        )
        cls.policy.write({"window_months": 12, "hysteresis": 0, "min_tenure_days": 0})
        cls.policy._run(TODAY)
        cls._set_tier(cls.partners[22], cls.tier_b)
        for partner in cls.partners[:12]:
            partner.key_account_wallet = rand.choice([0, 200, 900, 5000])
        cls.partners[9].key_account_group_id = cls.partners[8]
        cls.partners[11].key_account_group_id = cls.partners[11]
        cls._set_lost(cls.partners[10])
        cls.env.flush_all()
        cls.cards = cls.Card.search([("company_id", "=", cls.company.id)])

    @classmethod
    def _prepare_line(cls, listed, discount):
        line = {
            "product_id": cls.product.id,
            "price_unit": listed,
            "discount": discount,
            "tax_ids": [Command.clear()],
        }
        return {"invoice_line_ids": [Command.create(line)]}

    @classmethod
    def _set_lost(cls, partner):
        reason = cls.env.ref("crm_key_account.churn_reason_price")
        cls.env["key.account.loss"].create(
            {
                "partner_id": partner.id,
                "company_id": cls.company.id,
                "reason_id": reason.id,
                "date": "2026-01-07",
            }
        )

    # --- plain Python -----------------------------------------------------------

    def _add_up(self, first, last):
        """Return {partner: revenue} from one day to another."""
        revenue = defaultdict(float)
        rows = [(p, amount, day) for p, amount, day in self.books]
        rows += [(p, -amount, day) for p, amount, day in self.refunds]
        rows += [(p, net(*price), day) for p, *price, day in self.priced]
        for partner, amount, day in rows:
            if first <= day <= last:
                revenue[partner] += amount
        return revenue

    def _get_group_of(self, partner):
        if partner == self.partners[9]:
            return self.partners[8]
        if partner in self.partners[3] | self.partners[7] | self.holding:
            return self.holding
        return partner

    def _get_shares(self, seen, revenue):
        """Return {group: share in percent} of what is seen."""
        sums = defaultdict(float)
        for partner in seen:
            sums[self._get_group_of(partner)] += max(revenue[partner], 0)
        total = sum(sums.values())
        return {group: 100 * value / total for group, value in sums.items() if value}

    def _get_rhythm(self, partner, tier, revenue):
        """Return how silent the partner is, how much is given away, and whether it is
        one large order, as columns have it."""
        sales = [(amount, day) for p, amount, day in self.books if p == partner]
        sales += [(net(*price), day) for p, *price, day in self.priced if p == partner]
        sales = [(amount, day) for amount, day in sales if day <= TODAY]
        days = sorted({day for _amount, day in sales})
        days = [day for day in days if day > days[-1].replace(year=days[-1].year - 3)]
        silence = 0
        if len(days) >= 4:
            gaps = [(b - a).days for a, b in zip(days, days[1:], strict=False)]
            silence = (TODAY - days[-1]).days / round(median(gaps), 1)
        recent = [amount for amount, day in sales if day > date(2025, 3, 18)]
        priced = [
            (price, net(*price))
            for p, *price, day in self.priced
            if p == partner and day > date(2025, 3, 18)
        ]
        given = sum(listed - amount for (listed, _d), amount in priced)
        listed = given + revenue
        # of what has a cost: the others have no product
        known = sum(amount for _listed, amount in priced)
        rate = 100 * (known - 40 * len(priced)) / known if known else 100
        return {
            "cost_share": 100 * known / revenue if revenue > 0 else 0,
            "silence": silence + 0.0,
            "is_silent": silence > 2,
            "is_conceding": revenue > 0
            and round(100 * given / listed, 2) >= 10
            and round(rate, 2) < 20,
            "is_single_order": revenue > 0
            and 100 * max(recent, default=0) > 50 * revenue
            and tier in self.tier_a | self.tier_b,
        }

    def _recount(self, seen):
        """Return {partner: {column: value}} of all that ``seen`` is about."""
        now = self._add_up(date(2025, 3, 19), TODAY)
        before = self._add_up(date(2024, 3, 19), date(2025, 3, 18))
        shares = self._get_shares(seen, now)
        result = {}
        for partner in seen:
            card = self._get_card(partner)
            lost = partner == self.partners[10]
            growth = None
            if before[partner] > 0:
                growth = 100 * (now[partner] - before[partner]) / before[partner]
            share = None
            if partner.key_account_wallet:
                share = 100 * now[partner] / partner.key_account_wallet
            group = self._get_group_of(partner)
            grows = growth is not None and growth >= 25
            tier = card.tier_id
            path = False
            if now[partner] > 0 and (
                (share is not None and share < 50) or (tier == self.tier_a and grows)
            ):
                path = "deepen"
            elif (tier == self.tier_b and grows) or partner == self.prospect:
                path = "develop"
            result[partner] = {
                "complaint_count": 0,
                "group_id": group.id,
                "group_share": shares.get(group, 0),
                "growth": growth or 0,
                "growth_path": False if lost else path,
                "is_candidate": not lost
                and tier == self.tier_b
                and grows
                and (share is None or share < 50),
                **{
                    name: value if type(value) is float else value and not lost
                    for name, value in self._get_rhythm(
                        partner, tier, now[partner]
                    ).items()
                },
                "is_concentrated": not lost and shares.get(group, 0) >= 10,
                "is_shrinking": not lost and growth is not None and growth <= -25,
                "wallet_share": share or 0,
            }
        return result

    def _get_seen(self, user):
        everybody = self.partners | self.prospect | self.holding
        everybody = everybody.filtered(self._get_card)
        if user in (self.rep, self.rep2):
            return everybody.filtered(
                lambda partner: partner.user_id in (user, self.no)
            )
        return everybody

    @property
    def no(self):
        return self.env["res.users"]


@tagged("post_install", "-at_install")
class TestRisk(RiskCommon):
    def test_every_column_equals_a_recount(self):
        """For everybody who sees accounts, by the accounts that they see."""
        for user in (self.manager, self.leader, self.rep, self.rep2):
            expected = self._recount(self._get_seen(user))
            self.env.invalidate_all()
            cards = self.cards.with_user(user).search(
                [("company_id", "=", self.company.id)]
            )
            self.assertEqual(cards.partner_id, self.env["res.partner"].union(*expected))
            found = {name: set() for name in COLUMNS}
            for card in cards:
                for name, value in expected[card.partner_id].items():
                    actual = card[name].id if name == "group_id" else card[name]
                    with self.subTest(user=user.login, name=card.display_name, x=name):
                        if isinstance(value, float):
                            digits = cards._fields[name].get_digits(self.env)[1]
                            delta = 0.501 * 10**-digits
                            self.assertAlmostEqual(actual, value, delta=delta)
                        else:
                            self.assertEqual(actual, value)
                    found[name].add(value)
            if user == self.manager:
                # the books have some of each
                for name in COLUMNS:
                    if name.startswith("is_"):
                        self.assertEqual(found[name], {True, False}, name)
                self.assertEqual(found["growth_path"], {"deepen", "develop", False})

    def test_filters_sorting_and_groups_say_the_same(self):
        cards = self.cards.with_user(self.manager)
        for name in COLUMNS:
            with self.subTest(name=name):
                self._check_column(cards, name)
        growths = cards.search(
            [("growth", "!=", False), ("id", "in", cards.ids)], order="growth desc"
        ).mapped("growth")
        self.assertEqual(growths, sorted(growths, reverse=True))

    def _check_column(self, cards, name):
        domain = [("id", "in", cards.ids)]
        description = cards.fields_get([name])[name]
        for what in ("searchable", "sortable", "groupable"):
            self.assertTrue(description[what], what)
        self.assertTrue(description["help"])
        values = {
            card: card[name].id if name == "group_id" else card[name] for card in cards
        }
        if description["type"] == "float":
            found = cards.search([(name, ">", 20), *domain])
            self.assertEqual(found, cards.filtered(lambda card: values[card] > 20))
            return
        counts, read = defaultdict(int), defaultdict(int)
        for value in values.values():
            counts[value] += 1
        for group in cards.formatted_read_group(domain, [name], ["__count"]):
            key = group[name] or 0
            read[key[0] if name == "group_id" else key] += group["__count"]
        self.assertEqual(read, counts)
        for value in counts:
            found = cards.search([(name, "=", value), *domain])
            expected = cards.browse(c.id for c in cards if values[c] == value)
            self.assertEqual(found, expected)

    def test_concentration_equals_a_recount(self):
        for first, last, days in (
            (date(2025, 3, 19), TODAY, (None, None)),
            (date(2024, 1, 1), date(2025, 3, 18), ("2024-01-01", "2025-03-18")),
        ):
            for user in (self.manager, self.rep):
                shares = self._get_shares(
                    self._get_seen(user), self._add_up(first, last)
                )
                ordered = sorted(shares.values(), reverse=True)
                hhi = sum((share / 100) ** 2 for share in ordered)
                risk = self.Risk.with_user(user).get_risk(
                    self.company.id, date_from=days[0], date_to=days[1]
                )
                figures = {figure["key"]: figure for figure in risk["figures"]}
                for number in (1, 5, 10):
                    figure = figures[f"top_{number}"]
                    self.assertAlmostEqual(figure["value"], sum(ordered[:number]), 6)
                self.assertAlmostEqual(figures["hhi"]["value"], hhi, 9)
                self.assertAlmostEqual(figures["effective"]["value"], 1 / hhi, 6)
                revenue = self._add_up(first, last)
                seen = self.Card.with_user(user).with_context(
                    portfolio_from=days[0], portfolio_to=days[1]
                )
                for key in ("hhi", "effective"):
                    self.assertEqual(
                        set(seen.search(figures[key]["domain"]).partner_id),
                        {p for p in self._get_seen(user) if revenue[p] > 0},
                    )
                limit = [group for group, share in shares.items() if share >= 10]
                self.assertEqual(figures["beyond_limit"]["value"], len(limit))
                for group in risk["groups"]:
                    partner = self.env["res.partner"].browse(group["id"])
                    self.assertAlmostEqual(group["share"], shares[partner], 6)
                    self.assertEqual(group["is_warning"], partner in limit)
                    opened = seen.search(group["domain"]).partner_id
                    self.assertEqual({self._get_group_of(p) for p in opened}, {partner})
                    # what it opens adds up to it
                    self.assertEqual(len(opened), group["accounts"])
                    self.assertAlmostEqual(
                        sum(revenue[p] for p in opened), group["revenue"], 2
                    )
                for number in (1, 5, 10):
                    opened = seen.search(figures[f"top_{number}"]["domain"]).partner_id
                    self.assertAlmostEqual(
                        figures[f"top_{number}"]["value"],
                        100 * sum(revenue[p] for p in opened) / risk["total"],
                        6,
                    )
                self.assertEqual(len(risk["groups"]), min(10, len(shares)))

    def test_each_figure_opens_its_accounts(self):
        for user in (self.manager, self.rep):
            cards = self.Card.with_user(user)
            risk = self.Risk.with_user(user).get_risk(self.company.id)
            self.assertEqual(
                {figure["kind"] for figure in risk["figures"]},
                {"concentration", "risk", "growth"},
            )
            for figure in risk["figures"]:
                found = cards.search(figure["domain"])
                self.assertTrue(figure["label"] and figure["formula"])
                self.assertIn(figure["unit"], ("percent", "number", "accounts"))
                if figure["unit"] == "accounts":
                    self.assertEqual(figure["value"], len(found), figure["key"])
                    self.assertAlmostEqual(
                        figure["revenue"], sum(found.mapped("revenue")), 2
                    )
                elif figure["key"].startswith("top_"):
                    total = sum(max(r, 0) for r in cards.search([]).mapped("revenue"))
                    part = sum(max(r, 0) for r in found.mapped("revenue"))
                    self.assertAlmostEqual(figure["value"], 100 * part / total, 6)

    def test_a_way_to_grow_explains_itself(self):
        """Not the other one, which has a line of its own."""
        figures = self.Risk.with_user(self.manager).get_risk(self.company.id)["figures"]
        formulas = {figure["key"]: figure["formula"] for figure in figures}
        for key, other in (("deepen", "Develop"), ("develop", "Deepen")):
            self.assertTrue(formulas[key].startswith(key.capitalize()))
            self.assertNotIn(other, formulas[key])
            self.assertIn("Lost accounts don't count.", formulas[key])

    def test_of_a_salesperson_and_of_a_team(self):
        rest = self.Risk.with_user(self.manager)
        whole = rest.get_risk(self.company.id)["total"]
        of_reps = [
            rest.get_risk(self.company.id, user_id=user.id)["total"]
            for user in (self.rep, self.rep2)
        ]
        team = rest.get_risk(self.company.id, team_id=self.team.id)["total"]
        self.assertAlmostEqual(sum(of_reps), team, 2)
        self.assertGreater(whole, team)
        # a colleague's are nobody's business
        other = self.Risk.with_user(self.rep).get_risk(
            self.company.id, user_id=self.rep2.id
        )
        self.assertEqual(other["total"], 0)
        self.assertFalse(other["groups"])
        self.assertFalse(any(figure["value"] for figure in other["figures"]))

    def test_who_may_ask(self):
        internal = self._create_user("ka_risk_internal", "base.group_user")
        with self.assertRaises(AccessError):
            self.Risk.with_user(internal).get_risk(self.company.id)
        other = self._create_company("Other")
        with self.assertRaises(AccessError):
            self.Risk.with_user(self.manager).get_risk(other.id)
        for arguments in (
            {"company_id": "x"},
            {"company_id": 1, "team_id": "x"},
            {"company_id": self.company.id, "user_id": 2**40},
            {
                "company_id": self.company.id,
                "date_from": "9999-12-31",
                "date_to": "abc",
            },
            {"company_id": self.company.id, "date_from": "2026-01-01"},
            {
                "company_id": self.company.id,
                "date_from": "2026-03-01",
                "date_to": "2026-01-01",
            },
        ):
            with self.assertRaises(UserError):
                self.Risk.with_user(self.manager).get_risk(**arguments)

    def test_nothing_and_one_account(self):
        other = self._create_company("Empty")
        self.env.user.company_ids += other
        risk = self.Risk.with_context(allowed_company_ids=other.ids)
        empty = risk.get_risk(other.id)
        self.assertFalse(empty["groups"])
        self.assertFalse(any(figure["value"] for figure in empty["figures"]))
        self.assertFalse(any(figure["is_warning"] for figure in empty["figures"]))
        one = risk._get_concentration(
            [("id", "=", self._get_card(self.partners[8]).id)], self.company
        )
        self.assertEqual((one["hhi"], one["effective"], one["top"][1]), (1, 1, 100))

    def test_limit_is_written_as_the_language_does(self):
        self.env["res.lang"]._activate_lang("de_DE")
        for lang, number in (("en_US", "7.5"), ("de_DE", "7,5")):
            risk = self.env["key.account.risk"].with_context(lang=lang)
            figure = risk._get_beyond_figure(Domain.TRUE, {"limit": 7.5, "groups": []})
            self.assertIn(f"{number} %", figure["label"])

    def test_limit_of_the_settings(self):
        self.company.key_account_concentration_limit = 100
        ours = [("is_concentrated", "=", True), ("company_id", "=", self.company.id)]
        self.assertFalse(self.Card.search(ours))
        self.company.key_account_concentration_limit = 1
        self.env.invalidate_all()
        some = self.Card.search(ours)
        self.assertEqual(
            some,
            self.cards.filtered(
                lambda card: card.group_share >= 1 and not card.is_lost
            ),
        )

    def test_risks_in_words(self):
        cards = self.cards.with_user(self.manager)
        some = cards.filtered("is_shrinking")[:1]
        self.assertIn("Shrinking", some.risk_text)
        self.assertFalse(self._get_card(self.prospect).risk_text)

    def test_queries(self):
        """As many for one account as for all."""
        fields_ = [*COLUMNS, "risk_text"]
        specification = {name: {} for name in fields_}
        specification["group_id"] = {"fields": {"display_name": {}}}
        counts = []
        for cards in (self.cards[:1], self.cards):
            cards = cards.with_user(self.rep2).with_env(cards.env(user=self.manager.id))
            for _ in range(2):
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.cr.sql_log_count
                cards.web_read(specification)
                count = self.cr.sql_log_count - before
            counts.append(count)
        self.assertEqual(*counts)
        for _ in range(2):
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            self.Risk.with_user(self.manager).get_risk(self.company.id)
            count = self.cr.sql_log_count - before
        self.assertLess(count, 20)
