from datetime import timedelta

from odoo.tests import TransactionCase, freeze_time, tagged

from .common import SALES


@tagged("post_install", "-at_install")
class TestDemo(TransactionCase):
    """What the README says of the demo is there: on the day when it was made, and after
    the first night."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company = cls.env.ref("base.main_company")
        cls.env = cls.env(context={"allowed_company_ids": cls.company.ids})
        cls.admin = cls.env.ref("base.user_admin")
        made = cls._ref("visit_kestrel_1", cls.env).create_date
        # at noon where the company is, whatever the hour of the installation
        cls.day = made.replace(hour=12, minute=0, second=0)

    @classmethod
    def _ref(cls, name, env=None):
        module = "" if "." in name else "crm_key_account."
        return (env or cls.env(user=cls.admin)).ref(f"{module}{name}")

    def _get_partners(self, model, domain, user=None, **kwargs):
        """Return the customers that a user would see, in the list's order."""
        user = user or self.admin
        records = self.env[model].with_user(user).with_context(tz=user.tz)
        domain = [("company_id", "=", self.company.id), *domain]
        return records.search(domain, **kwargs).partner_id.with_env(self.env)

    def _refs(self, *names):
        return self.env["res.partner"].union(*map(self._ref, names))

    def _get_account(self, name):
        return self.env["key.account"].search(
            [
                ("partner_id", "=", self._ref(name).id),
                ("company_id", "=", self.company.id),
            ]
        )

    def _check_story(self):
        self.env.invalidate_all()
        for check in (
            self._check_accounts,
            self._check_tier_changes,
            self._check_relationships,
            self._check_effort,
            self._check_losses,
            self._check_lock,
            self._check_kate,
            self._check_helen,
            self._check_visits,
            self._check_assignment,
            self._check_at_the_door,
        ):
            with self.subTest(check=check.__name__):
                check()

    def _check_accounts(self):
        overdue = self._get_partners(
            "key.account", [("is_overdue", "=", True)], order="next_due_date"
        )
        longest = self._refs(
            "partner_kestrel",
            "partner_hafenblick",
            "base.res_partner_10",
            "base.res_partner_3",
        )
        self.assertEqual(overdue.ids[:4], longest.ids)
        gemini = self._get_account("base.res_partner_3")
        self.assertEqual(gemini.rank, 3)
        self.assertEqual(round(gemini.margin_rate), 4)
        groups = self.env["key.account"]._read_group(
            [("company_id", "=", self.company.id)],
            ["tier_id"],
            ["__count"],
        )
        counts = {tier.code: count for tier, count in groups}
        self.assertEqual(counts, {"A": 8, "B": 10, "C": 12})

    def _check_tier_changes(self):
        moves = {
            (change.partner_id, change.from_tier_id.code, change.to_tier_id.code)
            for change in self.env["key.account.tier.change"].search(
                [("company_id", "=", self.company.id), ("state", "=", "applied")]
            )
        }
        self.assertIn((self._ref("partner_nordlicht"), "B", "A"), moves)
        self.assertIn((self._ref("partner_orchard"), "A", "B"), moves)
        fallen = {partner for partner, _, code in moves if code == "C"}
        self.assertIn(self._ref("partner_meridian"), fallen)
        self.assertIn(self._ref("base.res_partner_18"), fallen)

    def _check_relationships(self):
        for direction, names in (
            ("promotion", ("partner_nordlicht", "partner_clinique")),
            ("demotion", ("partner_kestrel", "partner_orchard")),
        ):
            found = self._get_partners(
                "key.account", [("relationship_direction", "=", direction)]
            )
            self.assertEqual(found, self._refs(*names), direction)
        self.assertEqual(
            self._get_partners(
                "key.account.relationship.change", [("state", "=", "proposed")]
            ),
            self._refs("partner_kestrel", "partner_orchard", "partner_vanderlinden"),
        )
        contacts = self._ref("partner_kestrel").child_ids
        self.assertIn("opponent", contacts.mapped("stance"))
        self.assertTrue(contacts.filtered("left_company_date"))

    def _check_effort(self):
        gemini = self._get_account("base.res_partner_3")
        self.assertEqual(gemini.visit_count, 6)
        self.assertTrue(gemini.effort_mismatch)
        maplerow = self._get_account("partner_maplerow")
        self.assertEqual(maplerow.visit_count, 0)
        self.assertTrue(maplerow.effort_mismatch)
        self.assertNotEqual(gemini.effort_mismatch, maplerow.effort_mismatch)

    def _check_losses(self):
        lost = self._get_partners("key.account.loss", [("state", "=", "lost")])
        self.assertEqual(len(lost), 3)
        self.assertIn(self._ref("partner_meridian"), lost)
        self.assertEqual(
            self._get_partners("key.account.loss", [("state", "=", "returned")]),
            self._ref("partner_maplerow"),
        )
        loss = self.env["key.account.loss"].search(
            [("partner_id", "=", self._ref("partner_meridian").id)]
        )
        due = self.env["key.account.due"].search([("loss_id", "=", loss.id)])
        self.assertEqual(due.date_due, loss.date_win_back)

    def _check_lock(self):
        account = self._get_account("partner_brightwater")
        self.assertEqual(account.tier_id.code, "A")
        self.assertEqual(account.suggested_tier_id.code, "B")
        self.assertTrue(account.tier_locked_until)
        self.assertTrue(account.tier_lock_reason)

    def _get_planned(self, user, domain=()):
        return self.env["key.account.visit"].search(
            [("user_id", "=", user.id), ("state", "=", "planned"), *domain]
        )

    def _check_kate(self):
        """Away on Monday and Tuesday of the next week, and Wednesday is a holiday."""
        visits = self._get_planned(self._ref("user_kate"))
        self.assertGreaterEqual(len(visits), 5)
        monday = self.day.date() + timedelta(days=7 - self.day.weekday())
        days = {monday + timedelta(days=number) for number in range(3)}
        self.assertFalse(days & set(visits.mapped("date_planned")))

    def _check_helen(self):
        visits = self._get_planned(self._ref("user_helen"))
        executive = visits.filtered(lambda visit: visit.track == "executive")
        self.assertLessEqual(
            self._refs("base.res_partner_12", "partner_brightwater"),
            executive.partner_id,
        )
        self.assertIn(self._ref("partner_pineharbor"), visits.partner_id)
        self.assertTrue(self._get_planned(self.env["res.users"]))

    def _check_visits(self):
        cancelled = self._ref("visit_fjordbygg_cancelled")
        planned = self.env["key.account.visit"].search(
            [
                ("partner_id", "=", cancelled.partner_id.id),
                ("state", "=", "planned"),
                ("track", "=", "visit"),
            ]
        )
        self.assertEqual(planned.date_due, cancelled.date_resume)
        lead = self._ref("lead_harbourview")
        self.assertTrue(
            self.env["key.account.visit"].search(
                [("lead_id", "=", lead.id), ("state", "=", "planned")]
            )
        )

    def _check_assignment(self):
        helen = self._ref("user_helen")
        lines = self.env["key.account.assignment"].with_user(helen)
        lines.action_open()
        found = lines.search([("create_uid", "=", helen.id)])
        dana = found.filtered(lambda line: line.user_id == self._ref("user_dana"))
        self.assertEqual(set(dana.mapped("problem")), {"seniority"})
        keys = dana.filtered(lambda line: line.tier_id.code == "A")
        self.assertEqual(len(keys), 2)
        nobody = found.filtered(lambda line: line.problem == "nobody")
        self.assertIn(self._ref("partner_pineharbor"), nobody.partner_id)

    def _check_at_the_door(self):
        """Two customers don't receive at any time, and Kate has checked in."""
        for name in ("partner_orchard", "partner_fontaine"):
            visit = self.env["key.account.visit"].search(
                [
                    ("partner_id", "=", self._ref(name).id),
                    ("state", "=", "planned"),
                    ("track", "=", "visit"),
                ]
            )
            self.assertTrue(visit.receiving_text, name)
            self.assertFalse(visit.is_not_received, name)
        kate, matteo = self._ref("user_kate"), self._ref("user_matteo")
        visit = self._ref("visit_orchard_2", self.env)
        self.assertEqual(visit.with_user(kate).check_in_date.hour, 9)
        self.assertTrue(visit.with_user(kate).check_in_url)
        check_ins = self.env["key.account.check.in"]
        self.assertFalse(check_ins.with_user(matteo).search([]))

    def test_on_its_day(self):
        with freeze_time(self.day):
            self._check_story()

    def test_after_the_first_night(self):
        with freeze_time(self.day + timedelta(days=1)):
            self.env["key.account.policy"].sudo()._run_companies(
                self.company, incremental=True
            )
            self.env["key.account.planner"]._generate(company=self.company)
            self._check_story()

    def test_salespeople_see_it(self):
        kate = self._ref("user_kate")
        self.assertTrue(kate.has_group(SALES))
        with freeze_time(self.day):
            seen = self._get_partners(
                "key.account.visit",
                [("user_id", "=", kate.id), ("state", "=", "planned")],
                user=kate,
            )
        self.assertIn(self._ref("partner_kestrel"), seen)
