import json

from odoo.tests import TransactionCase, new_test_user, tagged

from odoo.addons.spreadsheet.utils.validate_data import (
    fields_in_spreadsheet,
    odoo_charts,
    odoo_view_links,
)


@tagged("post_install", "-at_install")
class TestDashboard(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dashboard = cls.env.ref(
            "spreadsheet_dashboard_key_account.spreadsheet_dashboard_key_account"
        )
        cls.data = json.loads(cls.dashboard.spreadsheet_data)
        cls.rep, cls.leader, cls.internal = (
            new_test_user(cls.env, login=f"ka_dashboard_{name}", groups=groups)
            for name, groups in (
                ("rep", "sales_team.group_sale_salesman"),
                ("leader", "sales_team.group_sale_salesman_all_leads"),
                ("internal", "base.group_user"),
            )
        )

    def test_what_it_names_is_there(self):
        # core's own check, which it makes under test_enable alone
        self.dashboard._check_spreadsheet_data()
        found = fields_in_spreadsheet(self.data)
        self.assertEqual(set(found), {"key.account"})
        for name in found["key.account"]:
            self.assertIn(name, self.env["key.account"]._fields)
        self.assertTrue(odoo_view_links(self.data))

    def test_what_it_asks_can_be_asked(self):
        """By each kind of salesperson, with the rights of their own."""
        for user in (self.rep, self.leader):
            accounts = self.env["key.account"].with_user(user)
            for pivot in self.data["pivots"].values():
                accounts.formatted_read_group(
                    pivot["domain"],
                    [row["fieldName"] for row in pivot["rows"]],
                    [measure["id"] for measure in pivot["measures"]],
                )
            for chart in odoo_charts(self.data):
                measure = chart["metaData"]["measure"]
                accounts.formatted_read_group(
                    chart["searchParams"]["domain"],
                    chart["metaData"]["groupBy"],
                    [measure if measure == "__count" else f"{measure}:sum"],
                )
            for each in self.data["lists"].values():
                order = ", ".join(
                    f"{by['name']} {'asc' if by['asc'] else 'desc'}"
                    for by in each["orderBy"]
                )
                accounts.web_search_read(
                    each["domain"],
                    {name: {} for name in each["columns"]},
                    limit=15,
                    order=order,
                )

    def test_a_rep_has_own_accounts_in_it(self):
        company = self.env.company
        partners = self.env["res.partner"].create(
            [
                {"name": "Own", "user_id": self.rep.id},
                {"name": "Colleague's", "user_id": self.leader.id},
            ]
        )
        self.env["key.account"]._provide(partners.ids, company).write(
            {"is_account": True, "revenue": 500}
        )
        domain = [
            *self.data["pivots"]["3"]["domain"],
            ("partner_id", "in", partners.ids),
        ]
        for user, revenue in ((self.rep, 500), (self.leader, 1000)):
            accounts = self.env["key.account"].with_user(user)
            ((found,),) = accounts._read_group(domain, [], ["revenue:sum"])
            self.assertEqual(found, revenue)

    def test_sales_alone_see_it(self):
        dashboards = self.env["spreadsheet.dashboard"]
        domain = [("id", "=", self.dashboard.id)]
        for user, sees in ((self.rep, 1), (self.leader, 1), (self.internal, 0)):
            self.assertEqual(dashboards.with_user(user).search_count(domain), sees)
