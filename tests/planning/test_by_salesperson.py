from random import Random

from odoo.tests import tagged

from .test_due import TRACKS, DueCommon


@tagged("post_install", "-at_install")
class TestBySalesperson(DueCommon):
    """Whoever plans one salesperson after the other, in whatever order, plans the same
    as who plans all at once: days, people, and why what has no day has none."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.planner = cls.env["key.account.planner"]
        cls.rep2.tz = "Pacific/Auckland"

    def _create_random_book(self, seed):
        """Return accounts of several salespeople and of nobody, on shared routes, with
        sponsors, some of whom receive on some days only, and leads."""
        random = Random(seed)
        book = self._create_book(seed, 40)
        for partner in book.with_company(self.company):
            if random.random() < 0.2:
                partner.key_account_receiving_hours = random.choice(
                    ("Tu 09:00-12:00", "closed 2026-03-01/2026-12-31")
                )
        self.env["crm.lead"].create(
            [
                {
                    "name": f"Lead {number}",
                    "company_id": self.company.id,
                    "user_id": random.choice((self.rep.id, self.rep2.id, False)),
                    "expected_revenue": 10 * number,
                }
                for number in range(5)
            ]
        )
        # the sponsor's turn, whatever the others' figures are
        late = self._create_accounts(2)
        late.with_company(self.company).executive_sponsor_id = self.sponsor
        for partner in late:
            self._visit(partner, 200, track="executive")
        self.Visit.search(
            [("partner_id", "in", late.ids), ("state", "=", "planned")]
        ).sudo().unlink()
        self.Due._refresh(self.company, planning=True)
        return book

    def _plan(self, groups):
        """Plan for each of the groups of salespeople, and undo it.

        :return: what is planned, and why the others wait, by account and track
        """
        savepoint = self.cr.savepoint()
        try:
            values = self.env["key.account.plan.values"].with_company(self.company)
            for salespeople in groups:
                plans = self.planner._get_plans(
                    self.company, TRACKS, salespeople=salespeople
                )
                self.assertFalse(values._create_free(self.company, plans))
            visits = self.Visit.search(
                [("company_id", "=", self.company.id), ("state", "=", "planned")]
            )
            planned = {
                visit._get_account_key(): (
                    visit.date_planned,
                    visit.date_due,
                    visit.user_id,
                    visit.cadence_id,
                    visit.summary,
                    visit.activity_id.user_id,
                )
                for visit in visits
            }
            reasons = {key: row.reason for key, row in self._get_rows().items()}
            return planned, reasons
        finally:
            savepoint.close(rollback=True)
            self.env.invalidate_all()

    def test_the_same_as_all_at_once(self):
        found, why = set(), set()
        for seed in range(4):
            self._create_random_book(seed)
            planned, reasons = self._plan([None])
            salespeople = self.planner._get_salespeople(self.company)
            self.assertIn(None, salespeople)
            groups = [[user_id] for user_id in salespeople]
            Random(seed).shuffle(groups)
            with self.subTest(seed=seed):
                self.assertEqual(self._plan(groups), (planned, reasons))
                # two workers, two at a time
                pairs = [salespeople[::2], salespeople[1::2]]
                self.assertEqual(self._plan(pairs), (planned, reasons))
            found.update((key[3], values[2]) for key, values in planned.items())
            why.update(reasons.values())
        # all kinds were among them
        self.assertEqual({track for track, _ in found}, set(TRACKS))
        nobody = self.env["res.users"]
        for user in (self.rep, self.rep2, self.leader, self.sponsor, nobody):
            self.assertIn(user, {each for _, each in found}, user.login)
        self.assertLessEqual({"capacity", "route", "closed"}, why)

    def test_somebody_with_nothing_due(self):
        """Why something waited is forgotten where it isn't due in the horizon."""
        self._create_random_book(9)
        rows = self.Due.search(
            [("company_id", "=", self.company.id), ("visit_id", "=", False)]
        )
        rows.write({"date_due": "2026-12-01", "reason": "capacity"})
        plans = self.planner._get_plans(self.company, TRACKS, salespeople=[self.rep.id])
        self.assertFalse(plans)
        mine = rows.filtered(lambda row: row.user_id == self.rep)
        self.assertTrue(mine)
        self.assertFalse(any(mine.mapped("reason")))
        self.assertTrue(all((rows - mine).mapped("reason")))

    def test_how_much_waits(self):
        """Counted by salesperson; whoever has something later is known, too."""
        self._create_random_book(9)
        rows = self.Due.search(
            [("company_id", "=", self.company.id), ("visit_id", "=", False)]
        )
        far = rows.filtered(lambda row: row.user_id == self.rep)
        rows.date_due = "2026-01-01"
        far.date_due = "2027-12-01"
        self.env.flush_all()
        candidates = self.env["key.account.plan.candidates"]
        expected = {
            user.id or None: len(group)
            for user, group in (rows - far).grouped("user_id").items()
        }
        self.assertIn(None, expected)
        self.assertEqual(
            candidates._count_waiting(self.company), {**expected, self.rep.id: 0}
        )
