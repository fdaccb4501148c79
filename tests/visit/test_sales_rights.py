from odoo import Command
from odoo.tests import tagged

from ..common import SALES, SALES_ALL
from .test_visits import PlannedVisitCommon

WAYS = ("archived", "right", "group", "company")


@tagged("post_install", "-at_install")
class TestSalesRights(PlannedVisitCommon):
    """Whoever is responsible for a visit may read it: who leaves sales hands over, and
    who comes back gets back what is still planned."""

    def _leave(self, way, user=None):
        user = user or self.rep
        sales = self.env.ref(SALES)
        if way == "archived":
            user.action_archive()
        elif way == "right":
            user.group_ids = [Command.unlink(sales.id)]
        elif way == "group":
            sales.user_ids = [Command.unlink(user.id)]
        else:
            self.other = self.env["res.company"].search(
                [("id", "!=", self.company.id)], limit=1
            )
            user.write(
                {
                    "company_id": self.other.id,
                    "company_ids": [Command.set(self.other.ids)],
                }
            )

    def _return(self, way, user=None):
        user = user or self.rep
        sales = self.env.ref(SALES)
        if way == "archived":
            user.action_unarchive()
        elif way == "right":
            user.group_ids = [Command.link(sales.id)]
        elif way == "group":
            sales.user_ids = [Command.link(user.id)]
        else:
            user.write(
                {
                    "company_ids": [Command.set((self.company | self.other).ids)],
                    "company_id": self.company.id,
                }
            )

    def _check_visit(self, user, team=None):
        row = self.env["key.account.due"].search([("visit_id", "=", self.visit.id)])
        self.assertEqual(self.visit.state, "planned")
        self.assertEqual(
            (self.visit.user_id, self.visit.activity_id.user_id, row.user_id),
            (user, user, user),
        )
        if user:
            self.assertTrue(self.visit.with_user(user).has_access("read"))

    def test_leaves_and_comes_back(self):
        for way in WAYS:
            with self.subTest(way):
                self._leave(way)
                self._check_visit(self.leader)
                self.assertEqual(self.visit.team_id, self.team)
                self._return(way)
                self._check_visit(self.rep)

    def test_nobody_stands_in(self):
        self.team.user_id = False
        for way in WAYS:
            with self.subTest(way):
                self._leave(way)
                self._check_visit(self.env["res.users"])
                self._return(way)
                self._check_visit(self.rep)

    def test_leader_without_the_right(self):
        """A leader who may not read visits stands in for nobody."""
        self._leave("right", self.leader)
        self.leader.group_ids = [Command.unlink(self.env.ref(SALES_ALL).id)]
        self._leave("right")
        self._check_visit(self.env["res.users"])
        self.leader.group_ids = [Command.link(self.env.ref(SALES_ALL).id)]
        self.visit._close("Again")
        self.visit = self.Visit._generate()
        self._check_visit(self.leader)

    def test_higher_right(self):
        """A right that implies the one that goes, and a group of one's own."""
        self.rep.group_ids = [Command.link(self.env.ref(SALES_ALL).id)]
        self._leave("right")
        self._check_visit(self.rep)
        own = self.env["res.groups"].create(
            {"name": "Own", "implied_ids": [Command.link(self.env.ref(SALES).id)]}
        )
        self.rep.group_ids = [
            Command.link(own.id),
            Command.unlink(self.env.ref(SALES_ALL).id),
        ]
        self._check_visit(self.rep)
        own.implied_ids = [Command.clear()]
        self._check_visit(self.leader)
        own.implied_ids = [Command.link(self.env.ref(SALES).id)]
        self._check_visit(self.rep)

    def test_other_rights_move_nothing(self):
        """Neither does another right, nor coming back, move what a person decided."""
        self.visit.with_user(self.leader).action_move("2026-03-20", self.leader.id)
        self.rep.group_ids = [
            Command.link(self.env.ref("base.group_partner_manager").id)
        ]
        self._check_visit_user(self.leader)
        self.visit.with_user(self.leader).action_move("2026-03-20", self.rep2.id)
        self._leave("right")
        self._return("right")
        self._check_visit_user(self.rep2)

    def _check_visit_user(self, user):
        self.assertEqual((self.visit.user_id, self.activity.user_id), (user, user))

    def test_leader_keeps_own_plans(self):
        """What the leader planned for himself stays; what was planned while the
        salesperson was away goes to the salesperson."""
        other, own = self._create_partner("Other"), self._create_partner("Own")
        self._set_tier(other, self.tier_a)
        self._leave("right")
        generated = self.Visit._generate(other)
        planned = self.Visit.with_user(self.leader).create(
            {"partner_id": own.id, "date_planned": "2026-03-20"}
        )
        self.assertEqual(generated.user_id, self.leader)
        self._return("right")
        self.assertEqual((generated | self.visit).user_id, self.rep)
        self.assertEqual(planned.user_id, self.leader)

    def test_planned_by_hand_comes_back(self):
        own = self._create_partner("Own")
        planned = self.Visit.with_user(self.rep).create(
            {"partner_id": own.id, "date_planned": "2026-03-20"}
        )
        self._leave("archived")
        self.assertEqual(planned.user_id, self.leader)
        self._return("archived")
        self.assertEqual(planned.user_id, self.rep)

    def test_done_visits_stay(self):
        self.visit.with_user(self.rep).action_done()
        self._leave("right")
        self.assertEqual(self.visit.user_id, self.rep)
        self.assertEqual(self._get_planned(self.partner).user_id, self.leader)
        self._return("right")
        self.assertEqual(self._get_planned(self.partner).user_id, self.rep)

    def test_executive_sponsor(self):
        self.env["key.account.cadence"].create(
            {"company_id": self.company.id, "track": "executive"}
        )
        sponsor = self._create_user("ka_sponsor", SALES)
        self.partner.with_company(self.company).executive_sponsor_id = sponsor
        self.visit = self.Visit._generate().filtered(lambda v: v.track == "executive")
        self._check_visit(sponsor)
        self._leave("right", sponsor)
        self._check_visit(self.leader)
        self._return("right", sponsor)
        self._check_visit(sponsor)

    def test_commitment_and_follow_up(self):
        self.visit.with_user(self.rep).action_done()
        commitment = self.env["key.account.commitment"].create(
            {
                "visit_id": self.visit.id,
                "name": "Send the offer",
                "user_id": self.rep.id,
                "date_deadline": "2026-03-25",
            }
        )
        self._leave("right")
        self.assertEqual(commitment.user_id, self.leader)
        self.assertEqual(self.visit.follow_up_activity_id.user_id, self.leader)

    def test_night(self):
        """What no event told of: the rights changed in SQL."""
        self.env.flush_all()
        self.env.cr.execute(
            "DELETE FROM res_groups_users_rel WHERE uid = %s AND gid = %s",
            [self.rep.id, self.env.ref(SALES).id],
        )
        self.env.invalidate_all()
        self.env.registry.clear_cache()
        self.Visit._generate()
        self.env["key.account.due"]._refresh(self.company)
        self._check_visit(self.leader)

    def test_customer_of_somebody_outside_sales(self):
        """A salesperson who never had the right gets no visits, and all with it."""
        employee = self._create_user("ka_outside", "base.group_user")
        self.partner.user_id = employee
        self.assertNotEqual(self.visit.user_id, employee)
        employee.group_ids = [Command.link(self.env.ref(SALES).id)]
        self._check_visit(employee)

    def test_queries(self):
        """Settings change users many at once."""
        users = self.env["res.users"].union(
            *(self._create_user(f"ka_many_{number}", SALES) for number in range(20))
        )
        right = [Command.link(self.env.ref("base.group_partner_manager").id)]

        def count(users):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            before_sales = users._get_sales_companies()
            users._follow_sales_companies(before_sales)
            return self.cr.sql_log_count - before

        users.write({"group_ids": right})
        count(users[:1])
        self.assertEqual(count(users[:1]), count(users))
