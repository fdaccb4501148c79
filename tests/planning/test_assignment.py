from freezegun import freeze_time

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from ..common import SALES, SALES_ALL, TODAY, KeyAccountCommon


@tagged("post_install", "-at_install")
class TestAssignment(KeyAccountCommon):
    """Accounts to Assign: who is on the list, whom it suggests, what applying does."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        freezer = freeze_time(f"{TODAY} 09:00:00")
        freezer.start()
        cls.addClassCleanup(freezer.stop)
        cls.members = {
            member.user_id: member for member in cls.team.crm_team_member_ids
        }
        cls.members[cls.rep].seniority = "senior"
        cls.members[cls.rep2].seniority = "trainee"
        cls.tier_a.min_seniority = "senior"
        cls.tier_b.min_seniority = "regular"
        cls.tier_c.min_seniority = "trainee"
        for tier, count in ((cls.tier_a, 1), (cls.tier_b, 2), (cls.tier_c, 4)):
            cls.env["key.account.cadence"].create(
                {
                    "company_id": cls.company.id,
                    "tier_id": tier.id,
                    "track": "visit",
                    "interval_count": count,
                    "interval_unit": "week",
                }
            )
        cls.germany = cls.env.ref("base.de")

    def _create_account(self, name, tier=None, **values):
        partner = self._create_partner(name, **values)
        self._set_tier(partner, tier or self.tier_b)
        return partner

    def _open(self, user=None, company=None):
        user = user or self.leader
        company = company or self.company
        lines = self.env["key.account.assignment"].with_user(user)
        lines = lines.with_context(allowed_company_ids=company.ids)
        action = lines.action_open()
        self.assertEqual(action["res_model"], "key.account.assignment")
        return lines.search([])

    # Who is on the list

    def test_right_salesperson_is_not_listed(self):
        self._create_account("Right", self.tier_a)
        self._create_account("Trainee at low value", self.tier_c, user_id=self.rep2.id)
        self.assertFalse(self._open())

    def test_attainment_beside_seniority(self):
        """Of the last three full months, of whoever is named."""
        served = self._create_account("Served")
        self._create_account("Nobody's", user_id=False)
        for month, planned in (("2026-02-01", 4), ("2025-11-01", 100)):
            self.env["key.account.target"].sudo().create(
                {
                    "month": month,
                    "company_id": self.company.id,
                    "partner_id": served.id,
                    "track": "visit",
                    "user_id": self.rep.id,
                    "planned_count": planned,
                }
            )
        for date_done in ("2026-02-03", "2026-02-10"):
            self.env["key.account.visit"].create(
                {
                    "partner_id": served.id,
                    "user_id": self.rep.id,
                    "state": "done",
                    "date_done": date_done,
                }
            )
        self.env.flush_all()
        line = self._open()
        self.assertEqual(line.suggested_user_id, self.rep)
        self.assertEqual(line.standing, "Senior, 50 %")
        line.suggested_user_id = self.rep2
        self.assertEqual(line.standing, "Trainee")
        line.suggested_user_id = self.rep
        self.assertEqual(line.standing, "Senior, 50 %")
        with self.assertRaises(AccessError):
            line.standing = "Best"

    def test_nobody(self):
        account = self._create_account("Nobody's", user_id=False)
        line = self._open()
        self.assertEqual(line.partner_id, account)
        self.assertEqual(line.problem, "nobody")
        self.assertEqual(line.tier_id, self.tier_b)
        self.assertEqual(line.suggested_user_id, self.rep)

    def test_seniority(self):
        account = self._create_account("Key", self.tier_a, user_id=self.rep2.id)
        line = self._open()
        self.assertEqual((line.partner_id, line.problem), (account, "seniority"))
        self.assertIn("Trainee", line.reason)
        self.assertIn("Senior", line.reason)
        self.assertEqual(line.suggested_user_id, self.rep)
        for seniority, listed in (("senior", False), ("regular", True)):
            self.members[self.rep2].seniority = seniority
            self.assertEqual(bool(self._open()), listed, seniority)
        self.tier_a.min_seniority = False
        self.assertFalse(self._open())

    def test_empty_seniority_is_regular(self):
        self._create_account("Ordinary", user_id=self.rep2.id)
        self.assertTrue(self._open())
        self.members[self.rep2].seniority = False
        self.assertFalse(self._open())

    def test_salesperson_left(self):
        account = self._create_account("Left", user_id=self.rep2.id)
        self.rep2.active = False
        line = self._open()
        self.assertEqual((line.partner_id, line.problem), (account, "left"))
        self.assertEqual(line.suggested_user_id, self.rep)

    def test_portal_user(self):
        portal = self._create_user("ka_portal", "base.group_portal")
        self._create_account("Portal's", user_id=portal.id)
        self.assertEqual(self._open().problem, "left")

    def test_salesperson_of_another_company(self):
        other = self._create_company("Other Company")
        user = self._create_user("ka_other", SALES, company=other)
        self._create_account("Elsewhere", user_id=user.id)
        line = self._open()
        self.assertEqual(line.problem, "company")
        self.assertIn(self.company.name, line.reason)

    def test_salesperson_without_team(self):
        outside = self._create_user("ka_outside", SALES)
        account = self._create_account("No team", user_id=outside.id)
        line = self._open()
        self.assertEqual((line.partner_id, line.problem), (account, "team"))
        # who leads the team belongs to it
        account.user_id = self.leader
        self.assertFalse(self._open())

    def test_team_of_another_company_does_not_count(self):
        other = self._create_company("Other Company")
        outside = self._create_user("ka_outside", SALES)
        outside.company_ids |= other
        self.env["crm.team"].create(
            {
                "name": "Elsewhere",
                "company_id": other.id,
                "member_ids": [Command.set(outside.ids)],
            }
        )
        self._create_account("No team here", user_id=outside.id)
        self.assertEqual(self._open().problem, "team")

    def test_lost_archived_and_foreign_accounts_are_left_out(self):
        lost = self._create_account("Lost", user_id=False)
        archived = self._create_account("Archived", user_id=False)
        foreign = self._create_account("Foreign", user_id=False)
        self.assertEqual(len(self._open()), 3)
        self.env["key.account.loss"].create(
            {
                "partner_id": lost.id,
                "reason_id": self.env.ref("crm_key_account.churn_reason_price").id,
                "date": TODAY,
            }
        )
        archived.active = False
        foreign.company_id = self._create_company("Other Company")
        self.assertFalse(self._open())

    def test_another_company_has_its_own_list(self):
        other = self._create_company("Other Company")
        self._create_account("Here", user_id=False)
        self.leader.company_ids |= other
        self.assertFalse(self._open(company=other))
        self.assertEqual(len(self._open()), 1)

    def test_opened_again_it_is_up_to_date(self):
        account = self._create_account("Nobody's", user_id=False)
        self._open()
        account.user_id = self.rep
        self._create_account("Another", user_id=False)
        self.assertEqual(self._open().partner_id.name, "Another")

    # Whom it suggests

    def test_nobody_is_qualified(self):
        self.members[self.rep].seniority = "regular"
        account = self._create_account("Key", self.tier_a, user_id=False)
        line = self._open()
        self.assertFalse(line.suggested_user_id)
        self.assertIn("Senior", line.why)
        with self.assertRaisesRegex(UserError, "Choose whom to assign Key to"):
            line.action_apply()
        self.assertFalse(account.user_id)
        with self.assertRaisesRegex(UserError, "choose one first"):
            line.action_apply_all()

    def test_area(self):
        self.members[self.rep2].seniority = "senior"
        place = {"country_id": self.germany.id, "zip": "20457", "city": "Hamburg"}
        self._create_account("Neighbour", self.tier_c, user_id=self.rep2.id, **place)
        self._create_account(
            "Nobody's", user_id=False, country_id=self.germany.id, zip="20 099"
        )
        line = self._open()
        self.assertEqual(line.suggested_user_id, self.rep2)
        self.assertIn("postal area 20: 1", line.why)

    def test_capacity(self):
        """Five weekly accounts fill one visit a day: the sixth goes elsewhere."""
        self.members[self.rep2].seniority = "senior"
        place = {"country_id": self.germany.id, "zip": "20457"}
        self.members[self.rep2].key_account_daily_capacity = 1
        for number in range(5):
            self._create_account(
                f"Key {number}", self.tier_a, user_id=self.rep2.id, **place
            )
        self._create_account("Nobody's", user_id=False, **place)
        line = self._open()
        self.assertEqual(line.suggested_user_id, self.rep)
        self.members[self.rep2].key_account_daily_capacity = 2
        line = self._open()
        self.assertEqual(line.suggested_user_id, self.rep2)
        self.assertIn("free visits a week: 5.0", line.why.lower())
        # as the reader's language writes numbers
        self.env["res.lang"]._activate_lang("de_DE")
        german = self.env["key.account.assignment"].with_user(self.leader)
        german = german.with_context(lang="de_DE", allowed_company_ids=self.company.ids)
        german.action_open()
        self.assertIn(": 5,0", german.search([]).why)

    def test_own_interval_counts_in_the_demand(self):
        self.members[self.rep2].seniority = "senior"
        place = {"country_id": self.germany.id, "zip": "20457"}
        self.members[self.rep2].key_account_daily_capacity = 1
        busy = self._create_account("Busy", user_id=self.rep2.id, **place)
        busy.with_company(self.company).visit_interval_days = 1
        self._create_account("Nobody's", user_id=False, **place)
        self.assertEqual(self._open().suggested_user_id, self.rep)

    def test_low_value_trains(self):
        self._create_account("Low", self.tier_c, user_id=False)
        line = self._open()
        self.assertEqual(line.suggested_user_id, self.rep2)
        self.assertIn("rains at such accounts", line.why)

    def test_past_contact(self):
        self.members[self.rep2].seniority = "senior"
        account = self._create_account("Nobody's", user_id=False)
        self.assertEqual(self._open().suggested_user_id, self.rep)
        self.env["crm.lead"].create(
            {
                "name": "Old deal",
                "partner_id": account.id,
                "user_id": self.rep2.id,
                "company_id": self.company.id,
            }
        )
        line = self._open()
        self.assertEqual(line.suggested_user_id, self.rep2)
        self.assertIn("eads and orders: 1", line.why)
        self.Visit.create(
            {
                "partner_id": account.id,
                "user_id": self.rep.id,
                "state": "done",
                "date_done": "2026-02-02",
            }
        )
        line = self._open()
        self.assertEqual(line.suggested_user_id, self.rep)
        self.assertIn("isits there: 1", line.why)

    def test_past_contact_for_a_branch(self):
        """The account is kept above: who sold to it in a branch knows it."""
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        (self.env.user | self.rep2).company_ids += branch
        self.members[self.rep2].seniority = "senior"
        account = self._create_account("Nobody's", user_id=False)
        self.env["crm.lead"].create(
            {
                "name": "Old deal",
                "partner_id": account.id,
                "user_id": self.rep2.id,
                "team_id": False,
                "company_id": branch.id,
            }
        )
        self.env["sale.order"].create(
            {
                "partner_id": account.id,
                "user_id": self.rep2.id,
                "team_id": False,
                "company_id": branch.id,
            }
        )
        line = self._open()
        self.assertEqual(line.suggested_user_id, self.rep2)
        self.assertIn("eads and orders: 2", line.why)

    def test_who_left_is_not_suggested(self):
        self.members[self.rep2].seniority = "senior"
        account = self._create_account("Nobody's", user_id=False)
        self.Visit.create(
            {
                "partner_id": account.id,
                "user_id": self.rep2.id,
                "state": "done",
                "date_done": "2026-02-02",
            }
        )
        self.assertEqual(self._open().suggested_user_id, self.rep2)
        self.rep2.active = False
        self.assertEqual(self._open().suggested_user_id, self.rep)

    def test_fixed_number_of_queries(self):
        counts = []
        for number in (1, 50):
            self.team.member_ids |= self.env["res.users"].create(
                [
                    {
                        "name": f"Rep {number} {n}",
                        "login": f"ka_many_{number}_{n}",
                        "company_id": self.company.id,
                        "company_ids": [Command.set(self.company.ids)],
                        "group_ids": [Command.set(self.env.ref(SALES).ids)],
                        "tz": "UTC",
                    }
                    for n in range(number)
                ]
            )
            for n in range(number):
                self._create_account(f"Nobody's {number} {n}", user_id=False)
            self._open()
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            lines = self.env["key.account.assignment"].with_user(self.leader)
            lines = lines.sudo()._prepare_lines(self.company)
            counts.append(self.cr.sql_log_count - before)
            self.assertGreaterEqual(len(lines), number)
        self.assertEqual(counts[1], counts[0])

    # Applying

    def test_apply(self):
        account = self._create_account("Nobody's", user_id=False)
        self._create_account("Another", user_id=False)
        self.Visit._generate()
        visit = self._get_planned(account)
        self.assertFalse(visit.user_id)
        line = self._open().filtered(lambda line: line.partner_id == account)
        line.action_apply()
        self.assertEqual(account.user_id, self.rep)
        self.assertEqual(visit.user_id, self.rep)
        self.assertEqual(visit.activity_id.user_id, self.rep)
        self.assertEqual(self._get_card(account).user_id, self.rep)
        rest = line.search([])
        self.assertEqual(rest.partner_id.name, "Another")

    def test_planned_visits_follow(self):
        account = self._create_account("Key", self.tier_a, user_id=self.rep2.id)
        self.Visit._generate()
        visit = self._get_planned(account)
        self.assertEqual(visit.user_id, self.rep2)
        self._open().action_apply()
        self.assertEqual(visit.user_id, self.rep)
        self.assertEqual(visit.team_id, self.team)

    def test_apply_all(self):
        accounts = self._create_account("Nobody's", user_id=False)
        accounts |= self._create_account("Low", self.tier_c, user_id=False)
        self._open()
        lines = self.env["key.account.assignment"].with_user(self.leader)
        lines.with_context(allowed_company_ids=self.company.ids).action_apply_all()
        self.assertEqual(accounts.mapped("user_id"), self.rep | self.rep2)
        self.assertFalse(self._open())

    def test_the_manager_s_word_goes(self):
        """Also somebody with less seniority, but nobody from elsewhere."""
        account = self._create_account("Key", self.tier_a, user_id=False)
        line = self._open()
        with Form(line) as form:
            form.suggested_user_id = self.rep2
        self.assertFalse(line.why)
        line.action_apply()
        self.assertEqual(account.user_id, self.rep2)

    def test_nobody_from_elsewhere(self):
        other = self._create_company("Other Company")
        account = self._create_account("Key", self.tier_a, user_id=False)
        another = self._create_account("Another", user_id=False)
        lines = self._open()
        line = lines.filtered(lambda line: line.partner_id == account)
        archived = self._create_user("ka_archived", SALES)
        archived.active = False
        for user in (
            self._create_user("ka_foreign", SALES_ALL, company=other),
            self._create_user("ka_portal", "base.group_portal"),
            archived,
        ):
            line.suggested_user_id = user
            with self.assertRaisesRegex(UserError, "doesn't work for"):
                lines.action_apply()
            self.assertFalse((account | another).user_id)

    def test_given_away_in_the_meantime(self):
        account = self._create_account("Nobody's", user_id=False)
        line = self._open()
        account.user_id = self.rep2
        with self.assertRaisesRegex(UserError, "open the list again"):
            line.action_apply()
        self.assertEqual(account.user_id, self.rep2)

    # Rights

    def test_rights(self):
        account = self._create_account("Nobody's", user_id=False)
        internal = self._create_user("ka_internal", "base.group_user")
        portal = self._create_user("ka_portal", "base.group_portal")
        model = self.env["key.account.assignment"]
        line = self._open()
        for user in (self.rep, internal, portal):
            for operation in ("read", "write", "create", "unlink"):
                self.assertFalse(model.with_user(user).has_access(operation))
            for method in ("action_open", "action_apply_all"):
                with self.assertRaises(AccessError):
                    getattr(model.with_user(user), method)()
            with self.assertRaises(AccessError):
                line.with_user(user).action_apply()
        self.assertFalse(account.user_id)
        # a colleague's list is the colleague's
        self.assertFalse(line.with_user(self.manager).has_access("read"))
        self.assertEqual(self._open(self.manager).partner_id, account)
        self.assertEqual(line.exists(), line)
        # lines are made by the addon
        for user in (self.leader, self.manager):
            for operation in ("create", "unlink"):
                self.assertFalse(model.with_user(user).has_access(operation))
        with self.assertRaisesRegex(AccessError, "Only the salesperson"):
            line.partner_id = self._create_partner("Other")

    def test_seniority_is_for_sales(self):
        internal = self._create_user("ka_internal", "base.group_user")
        member = self.members[self.rep]
        names = {"seniority", "key_account_daily_capacity"}
        self.assertFalse(names & member.with_user(internal).fields_get().keys())
        self.assertEqual(member.with_user(self.rep2).seniority, "senior")
        with self.assertRaises(AccessError):
            member.with_user(self.leader).seniority = "trainee"
        member.with_user(self.manager).seniority = "regular"
        self.assertEqual(member.seniority, "regular")
