from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

# What moves no due date of a cadence line
SILENT_FIELDS = {"activity_type_id", "escalate_after_days", "follow_up_days"}
DECIDED_COLUMNS = {
    "executive_sponsor_id",
    "relationship_level",
    "tier_id",
    "visit_interval_days",
}
# What moves a due date, or changes who is responsible
PARTNER_FIELDS = {"active", "company_id", "is_company", "parent_id", "user_id"}
LEAD_FIELDS = {
    "account_tier_id",
    "active",
    "company_id",
    "engagement_stage",
    "expected_revenue",
    "lost_reason_id",
    "order_ids",
    "partner_id",
    "probability",
    "relationship_level",
    "stage_id",
    "team_id",
    "type",
    "user_id",
    "won_status",
}


class ResPartner(models.Model):
    _inherit = "res.partner"

    is_visit_overdue = fields.Boolean(
        compute="_compute_is_visit_overdue",
        search="_search_is_visit_overdue",
        groups="sales_team.group_sale_salesman",
        help="The due date of a visit has passed in this company.",
    )

    @api.depends_context("company", "uid", "tz")
    def _compute_is_visit_overdue(self):
        overdue = self.with_context(active_test=False).search(
            [("id", "in", self.ids), ("is_visit_overdue", "=", True)]
        )
        for partner in self:
            partner.is_visit_overdue = partner in overdue

    def _search_is_visit_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        # the rules of accounts apply: a rep sees the dates of own ones
        accounts = self.env["key.account"]._search(
            [("company_id", "=", self.env.company.id), ("is_overdue", "=", True)]
        )
        return Domain("commercial_partner_id", "in", accounts.subselect("partner_id"))

    def write(self, vals):
        res = super().write(vals)
        if PARTNER_FIELDS & vals.keys():
            self.env["key.account.due"].sudo()._refresh_touched(self.ids)
        return res

    def _prepare_key_account_merge(self, target):
        # Core deletes what the unique index keeps it from moving
        self.env["key.account.due"]._merge(self, target)
        return super()._prepare_key_account_merge(target)

    def _follow_merge(self, accounts, inherited):
        res = super()._follow_merge(accounts, inherited)
        self.env["key.account.due"]._refresh_touched((self | accounts).ids)
        return res


class CrmLead(models.Model):
    _inherit = "crm.lead"

    is_visit_overdue = fields.Boolean(
        compute="_compute_is_visit_overdue",
        search="_search_is_visit_overdue",
        groups="sales_team.group_sale_salesman",
        help="The due date of a visit to the customer, or to the lead while it has "
        "none, has passed.",
    )

    @api.depends_context("company", "uid", "tz")
    def _compute_is_visit_overdue(self):
        overdue = self.with_context(active_test=False).search(
            [("id", "in", self.ids), ("is_visit_overdue", "=", True)]
        )
        for lead in self:
            lead.is_visit_overdue = lead in overdue

    def _search_is_visit_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        alone = Domain.OR(
            Domain(
                "id",
                "in",
                self.env[model]
                ._search(
                    Domain("partner_id", "=", False)
                    & Domain("lead_id", "!=", False)
                    & Domain("is_overdue", "=", True)
                )
                .subselect("lead_id"),
            )
            for model in ("key.account.due", "key.account.visit")
        )
        accounts = self.env["key.account"]
        in_company = Domain.OR(
            Domain(
                "company_id",
                "in",
                [company.id, False] if company == self.env.company else [company.id],
            )
            & Domain(
                "partner_id.commercial_partner_id",
                "in",
                accounts._search(
                    [("company_id", "=", company.id), ("is_overdue", "=", True)]
                ).subselect("partner_id"),
            )
            for company in self.env.companies
        )
        return (Domain("partner_id", "=", False) & alone) | in_company

    @api.model_create_multi
    def create(self, vals_list):
        leads = super().create(vals_list)
        alone = leads.filtered(lambda lead: not lead.partner_id)
        self.env["key.account.due"].sudo()._refresh_touched([], alone.ids)
        return leads

    def write(self, vals):
        alone = self.browse()
        if LEAD_FIELDS & vals.keys():
            alone = self.filtered(lambda lead: not lead.partner_id)
        res = super().write(vals)
        if LEAD_FIELDS & vals.keys():
            alone |= self.filtered(lambda lead: not lead.partner_id)
            self.env["key.account.due"].sudo()._refresh_touched([], alone.ids)
        return res

    def _merge_dependences(self, opportunities):
        # Before core deletes the leads that were merged
        dues = self.env["key.account.due"].sudo()
        dues._merge(opportunities, self)
        res = super()._merge_dependences(opportunities)
        dues._refresh_touched([], self.ids)
        return res


class CrmTeam(models.Model):
    _inherit = "crm.team"

    def write(self, vals):
        res = super().write(vals)
        if {"active", "company_id", "user_id"} & vals.keys():
            self._refresh_key_account_dues()
        return res

    def unlink(self):
        # members go along
        users = self.with_context(active_test=False).crm_team_member_all_ids.user_id
        dues = self._get_key_account_dues()
        res = super().unlink()
        dues._refresh_rows()
        users._refresh_key_account_dues()
        return res

    def _get_key_account_dues(self):
        dues = self.env["key.account.due"].sudo()
        return dues.search([("team_id", "in", self.ids)])

    def _refresh_key_account_dues(self):
        self._get_key_account_dues()._refresh_rows()
        # a team that comes back, or into another company, may take over again
        self.with_context(
            active_test=False
        ).crm_team_member_all_ids.user_id._refresh_key_account_dues()


class CrmTeamMember(models.Model):
    _inherit = "crm.team.member"

    @api.model_create_multi
    def create(self, vals_list):
        members = super().create(vals_list)
        members.user_id._refresh_key_account_dues()
        return members

    def write(self, vals):
        users = self.user_id
        res = super().write(vals)
        if {"active", "crm_team_id", "user_id"} & vals.keys():
            (users | self.user_id)._refresh_key_account_dues()
        return res

    def unlink(self):
        users = self.user_id
        res = super().unlink()
        users._refresh_key_account_dues()
        return res


class ResUsers(models.Model):
    _inherit = "res.users"

    def write(self, vals):
        # a portal user has no accounts
        shared = self.filtered("share") if "group_ids" in vals else self.browse()
        res = super().write(vals)
        changed = self.browse()
        if {"active", "company_ids"} & vals.keys():
            changed = self
        elif "group_ids" in vals:
            changed = self.filtered(lambda user: user.share != (user in shared))
        if changed:
            # whose accounts went to a leader may have them back
            changed._refresh_key_account_dues(sponsors=vals.get("active") is not False)
        return res

    def _refresh_key_account_dues(self, sponsors=False):
        """Refresh what the users are, or may become, responsible for.

        :param sponsors: also all executive visits
        """
        domain = Domain("user_id", "in", self.ids)
        domain |= Domain("account_user_id", "in", self.ids)
        domain |= Domain("team_id.user_id", "in", self.ids)
        if sponsors:
            domain |= Domain("track", "=", "executive")
        self.env["key.account.due"].sudo().search(domain)._refresh_rows()


class KeyAccountDue(models.Model):
    _inherit = "key.account.due"

    def _refresh_rows(self):
        """Refresh the accounts and leads of these rows."""
        for company, group in self.grouped("company_id").items():
            leads = group.filtered(lambda row: not row.partner_id).lead_id
            self._refresh_touched(group.partner_id.ids, leads.ids, company)

    @api.model
    def _forget(self, companies):
        """Delete all rows of the companies: at once, there may be many."""
        self.flush_model()
        self.env.cr.execute(
            SQL("DELETE FROM key_account_due WHERE company_id = ANY(%s)", companies.ids)
        )
        self._invalidate_refreshed()

    @api.model
    def _refresh_companies(self, companies):
        """Refresh all rows of the companies that plan."""
        for company in companies.sudo():
            if company.key_account_planning:
                self._refresh(company)


class ResCompany(models.Model):
    _inherit = "res.company"

    def write(self, vals):
        res = super().write(vals)
        dues = self.env["key.account.due"].sudo()
        if vals.get("key_account_planning"):
            dues._refresh_companies(self)
        elif "key_account_planning" in vals:
            # what isn't planned isn't kept up to date
            dues._forget(self)
            self.sudo().key_account_has_dues = False
        return res


class KeyAccountCadence(models.Model):
    _inherit = "key.account.cadence"

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        lines._refresh_dues(lines.company_id, not all(lines.mapped("company_id")))
        return lines

    def write(self, vals):
        companies, everywhere = self.company_id, not all(self.mapped("company_id"))
        order = self._get_order()
        res = super().write(vals)
        if self.env.context.get("key_account_resequence"):
            return res
        if vals.keys() - {"sequence", *SILENT_FIELDS} or order != self._get_order():
            self._refresh_dues(
                companies | self.company_id,
                everywhere or not all(self.mapped("company_id")),
            )
        return res

    def web_resequence(self, *args, **kwargs):
        # Dragging a line writes one after the other: refreshed once, at the end
        order = self._get_order()
        lines = self.with_context(key_account_resequence=True)
        res = super(KeyAccountCadence, lines).web_resequence(*args, **kwargs)
        if order != self._get_order():
            self._refresh_dues(self.company_id, not all(self.mapped("company_id")))
        return res

    def unlink(self):
        # First, so that other lines take over what is known; then nothing is left that
        # would go along.
        self.filtered("active").write({"active": False})
        return super().unlink()

    @api.model
    def _get_order(self):
        return self.sudo().search(Domain.TRUE).ids

    @api.model
    def _refresh_dues(self, companies, everywhere):
        if everywhere:
            companies = companies.sudo().search([("key_account_planning", "=", True)])
        self.env["key.account.due"].sudo()._refresh_companies(companies)


class KeyAccountLoss(models.Model):
    _inherit = "key.account.loss"

    def write(self, vals):
        res = super().write(vals)
        if "date_win_back" in vals:
            self.env["key.account.due"].sudo()._refresh_touched(self.partner_id.ids)
        return res


class KeyAccount(models.Model):
    _inherit = "key.account"

    due_ids = fields.One2many("key.account.due", "account_id", readonly=True)
    is_overdue = fields.Boolean(
        compute="_compute_is_overdue",
        search="_search_is_overdue",
        help="On a track the due date has passed, whether a visit is planned or not; "
        "or the day has of a visit that a person planned.",
    )
    next_due_date = fields.Date(
        string="Next Due",
        compute="_compute_next_due_date",
        search="_search_next_due_date",
        help="The earliest day that the cadence asks for, on any track.",
    )

    @api.depends("due_ids.date_due")
    def _compute_next_due_date(self):
        for card in self:
            card.next_due_date = min(card.due_ids.mapped("date_due"), default=False)

    def _search_next_due_date(self, operator, value):
        # _field_to_sql makes a column of it
        return Domain("next_due_date", operator, value)

    def _field_to_sql(self, alias, field_expr, query=None):
        if field_expr == "next_due_date":
            self._check_field_access(self._fields["next_due_date"], "read")
            return SQL(
                "(SELECT MIN(due.date_due) FROM key_account_due due"
                " WHERE due.account_id = %s)",
                SQL.identifier(alias, "id"),
            )
        return super()._field_to_sql(alias, field_expr, query)

    @api.depends("due_ids.date_due", "next_visit_date")
    @api.depends_context("tz")
    def _compute_is_overdue(self):
        self.env["key.account.visit"].flush_model()
        self.env["key.account.due"].flush_model()
        rows = self.env.execute_query(
            SQL(
                "SELECT id FROM %s AS overdue WHERE id = ANY(%s)",
                self._get_overdue_sql(),
                self.ids,
            )
        )
        overdue = {row[0] for row in rows}
        for card in self:
            card.is_overdue = card.id in overdue

    def _search_is_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        self.env["key.account.visit"].flush_model()
        self.env["key.account.due"].flush_model()
        return Domain("id", "in", self._get_overdue_sql())

    @api.model
    def _get_overdue_sql(self):
        """Return a query for the accounts that are overdue: on a track the due date has
        passed, or that of a planned visit; what a person planned has its day alone."""
        today = fields.Date.context_today(self)
        return SQL(
            """(
            SELECT account_id AS id
              FROM key_account_due
             WHERE account_id IS NOT NULL AND date_due < %(today)s
             UNION
            SELECT card.id
              FROM key_account_visit visit
              JOIN key_account card
                ON card.partner_id = visit.partner_id
               AND card.company_id = visit.company_id
             WHERE visit.state = 'planned'
               AND COALESCE(visit.date_due, visit.date_planned) < %(today)s
            )""",
            today=today,
        )

    def _follow_decisions(self, columns):
        # before visits are planned by it
        if DECIDED_COLUMNS & columns:
            self.env["key.account.due"]._refresh_touched(
                self.partner_id.ids, companies=self.company_id
            )
        return super()._follow_decisions(columns)

    @api.model
    def _update_losses(self, partner_ids):
        res = super()._update_losses(partner_ids)
        self.env["key.account.due"].sudo()._refresh_touched(partner_ids)
        return res

    @api.model
    def _update_engagement_stages(self, company, partner_ids=None):
        changed = super()._update_engagement_stages(company, partner_ids)
        if company.sudo().key_account_planning:
            self.env["key.account.due"].sudo()._refresh(company, changed, [])
        return changed
