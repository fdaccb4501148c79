from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import SQL


class KeyAccountActivityMixin(models.AbstractModel):
    """The states of those activities that the record rule shows; asked for by the
    overrides of core. Whoever reads the customer or lead reads them."""

    _inherit = "key.account.activity.mixin"

    def _is_every_activity_shown(self):
        """Return whether no activity of a visit is hidden from the user."""
        if self.env.su:
            return True
        if not self.env.user.has_group("sales_team.group_sale_salesman_all_leads"):
            return False
        companies = self.env["res.company"].sudo().with_context(active_test=False)
        return companies.search_count([]) == len(self.env.companies)

    def _get_activity_states_query(self):
        """Return a query of ``res_id`` and ``state``, of open activities."""
        Activity = self.env["mail.activity"]
        Activity.flush_model(["date_deadline"])
        rule = self.env["ir.rule"]._compute_domain(Activity._name, "read")
        # sudo: the rule is in the domain
        shown = Activity.sudo()._search(
            Domain("res_model", "=", self._name) & Domain("active", "=", True) & rule
        )
        return SQL(
            """
            SELECT res_id,
                   CASE WHEN MIN(date_deadline) < %(today)s THEN 'overdue'
                        WHEN MIN(date_deadline) = %(today)s THEN 'today'
                        ELSE 'planned' END AS state
              FROM mail_activity
             WHERE id IN %(shown)s
             GROUP BY res_id
            """,
            today=fields.Date.context_today(self),
            shown=shown.subselect(),
        )

    def _get_activity_state_domain(self, operator, value):
        """Return the domain of :meth:`_search_activity_state`."""
        states = {"overdue", "today", "planned", False}
        wanted = states & set(value) if operator == "in" else states - set(value)
        # few have activities
        named = states - wanted if False in wanted else wanted
        found = Domain(
            "id",
            "in",
            SQL(
                "(SELECT res_id FROM (%s) AS states WHERE state = ANY(%s))",
                self._get_activity_states_query(),
                list(named),
            ),
        )
        return ~found if False in wanted else found

    def _get_activity_state_sql(self, alias, query):
        """Return the state to group by, see :meth:`_read_group_groupby`."""
        self._check_field_access(self._fields["activity_state"], "read")
        states = query.make_alias(alias, "key_account_activity_states")
        query.add_join(
            "LEFT JOIN",
            states,
            SQL("(%s)", self._get_activity_states_query()),
            SQL(
                "%s = %s",
                SQL.identifier(states, "res_id"),
                SQL.identifier(alias, "id"),
            ),
        )
        return SQL.identifier(states, "state")
