from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from ...const import RELATIONSHIP_LEVELS
from .key_account import DECISIONS, TIER_DECISIONS
from .key_account_engagement import VALUE_TYPES

TIER_FIELDS = {
    "account_tier_id",
    "account_tier_locked_until",
    "account_tier_lock_reason",
}
# What salespeople decide about their own accounts. The interval isn't among them: who
# may write the customer may say how often to go there.
GUARDED_FIELDS = {"account_value_type", "executive_sponsor_id", "relationship_level"}
LOWEST_LEVEL = "transactional"


class ResPartner(models.Model):
    """What customers, and their contacts, show of their account in the current company.

    Decisions about an account are columns of ``key.account``. The fields here are
    computed from it, searched, sorted and grouped by it (:meth:`_field_to_sql`), and
    what is written to them goes there: ``create`` and ``write`` hand it over, past
    core, which hides the fields of an inverse method from all that follows from it.
    Whoever may read the customer reads them; the figures further below follow the
    record rules of accounts.
    """

    _inherit = "res.partner"

    # Read by one query for all of these fields, without the rules of accounts.
    key_account_id = fields.Many2one(
        "key.account",
        compute="_compute_key_account_id",
        compute_sudo=True,
        # the names of rows that the reader may not open
        exportable=False,
        groups="sales_team.group_sale_salesman",
    )
    key_account_ids = fields.One2many(
        "key.account",
        "partner_id",
        string="Accounts by Company",
        groups="sales_team.group_sale_salesman",
        copy=False,
    )
    account_tier_id = fields.Many2one(
        "key.account.tier",
        compute="_compute_account_tier",
        compute_sudo=True,
        readonly=False,
        search="_search_account_tier_id",
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="Class of the customer in this company. Set by the tiering policy, or by "
        "hand by a sales administrator.",
    )
    account_tier_color = fields.Integer(
        related="account_tier_id.color",
        aggregator=None,
        groups="sales_team.group_sale_salesman",
    )
    account_tier_locked_until = fields.Date(
        string="Tier Locked Until",
        compute="_compute_account_tier",
        compute_sudo=True,
        readonly=False,
        search="_search_account_tier_locked_until",
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="Until this day, included, the tiering run leaves the tier alone.",
    )
    account_tier_lock_reason = fields.Char(
        string="Lock Reason",
        compute="_compute_account_tier",
        compute_sudo=True,
        readonly=False,
        search="_search_account_tier_lock_reason",
        groups="sales_team.group_sale_salesman",
        copy=False,
    )
    relationship_level = fields.Selection(
        RELATIONSHIP_LEVELS,
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search="_search_relationship_level",
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="How deep the relationship is, in this company. Salespeople set it up to "
        "preferred supplier and propose what lies above; evidence supports it.",
    )
    account_value_type = fields.Selection(
        VALUE_TYPES,
        string="Value Type",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search="_search_account_value_type",
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="What the customer buys on in this company (after Rackham and De "
        "Vincentis).\n"
        "Intrinsic: buys on price; the sale is transactional.\n"
        "Extrinsic: wants advice and added value; the sale is consultative.\n"
        "Strategic: shares competences with us, a relation between enterprises.",
    )
    executive_sponsor_id = fields.Many2one(
        "res.users",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search="_search_executive_sponsor_id",
        groups="sales_team.group_sale_salesman",
        copy=False,
        domain=lambda self: [
            ("share", "=", False),
            ("company_ids", "in", self.env.company.ids),
        ],
        help="The executive of ours who visits this customer. Executive visits go to "
        "the sponsor, who sees them also without sales rights, else to the leader of "
        "the sales team.",
    )
    visit_interval_days = fields.Integer(
        string="Own Visit Interval (days)",
        compute="_compute_decisions",
        compute_sudo=True,
        readonly=False,
        search="_search_visit_interval_days",
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="Plan visits to this customer every so many days; 0: by the cadence.",
    )
    last_visit_date = fields.Date(
        string="Last Visit",
        compute="_compute_visit_dates",
        search="_search_last_visit_date",
        groups="sales_team.group_sale_salesman",
    )
    next_visit_date = fields.Date(
        string="Next Visit",
        compute="_compute_visit_dates",
        search="_search_next_visit_date",
        groups="sales_team.group_sale_salesman",
    )
    key_account_visit_ids = fields.One2many(
        "key.account.visit",
        "partner_id",
        groups="sales_team.group_sale_salesman",
    )
    # Core lets searches through this field past the rules of activities, which here
    # hide those of visits.
    activity_ids = fields.One2many(bypass_search_access=False)
    # And reads these as superuser.
    activity_summary = fields.Char(related_sudo=False)
    activity_type_id = fields.Many2one(related_sudo=False)
    activity_type_icon = fields.Char(related_sudo=False)
    # The figures of the key-account tab. Not Monetary: rounding would read the currency
    # for each opened form.
    key_account_currency_id = fields.Many2one(
        "res.currency",
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_revenue = fields.Float(
        string="Revenue",
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_previous_revenue = fields.Float(
        string="Previous Revenue",
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_margin = fields.Float(
        string="Margin",
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_expected_revenue = fields.Float(
        string="Expected Revenue",
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_rank = fields.Integer(
        string="Rank",
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_share = fields.Float(
        string="Share (%)",
        digits=(16, 2),
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_cumulative_share = fields.Float(
        string="Cumulative Share (%)",
        digits=(16, 2),
        compute="_compute_key_account_cumulative_share",
        groups="sales_team.group_sale_salesman",
    )
    key_account_explanation = fields.Char(
        string="Why This Tier",
        compute="_compute_key_account",
        groups="sales_team.group_sale_salesman",
    )
    key_account_is_lost = fields.Boolean(
        string="Lost Account",
        compute="_compute_key_account_lost",
        search="_search_key_account_is_lost",
        groups="sales_team.group_sale_salesman",
    )
    key_account_lost_date = fields.Date(
        string="Lost On",
        compute="_compute_key_account_lost",
        search="_search_key_account_lost_date",
        groups="sales_team.group_sale_salesman",
    )

    @api.depends("commercial_partner_id")
    @api.depends_context("company")
    def _compute_key_account_id(self):
        accounts = self.env["key.account"].search_fetch(
            [
                ("partner_id", "in", self.commercial_partner_id._origin.ids),
                ("company_id", "=", self.env.company.id),
            ],
            order="id",
        )
        account_by_partner = {account.partner_id.id: account for account in accounts}
        for partner in self:
            partner.key_account_id = account_by_partner.get(
                partner.commercial_partner_id._origin.id, False
            )

    # Not on commercial_partner_id: a new customer in the form would lose what was
    # entered as soon as is_company changes. The account's create and write, and write
    # below, tell these fields (_forget_key_accounts). The tier apart from the others:
    # lists show it alone.
    @api.depends("parent_id")
    @api.depends_context("company")
    def _compute_account_tier(self):
        for partner in self:
            account = partner.key_account_id
            for name in TIER_DECISIONS:
                partner[name] = account[DECISIONS[name]]

    @api.depends("parent_id")
    @api.depends_context("company")
    def _compute_decisions(self):
        for partner in self:
            account = partner.key_account_id
            for name in DECISIONS.keys() - TIER_DECISIONS:
                partner[name] = account[DECISIONS[name]]
            if not account:
                partner.relationship_level = LOWEST_LEVEL

    @api.model
    def _forget_key_accounts(self):
        """Have customers read their accounts again."""
        # flush=False: none of these fields is stored
        self.env["res.partner"].invalidate_model(
            [
                name
                for name, field in self._fields.items()
                if "crm_key_account" in field._modules and field.compute
            ],
            flush=False,
        )

    def _get_readable_account(self):
        """Return the customer's account in this company if its figures are for the
        user's eyes: a rep sees those of own accounts."""
        return self.key_account_id._filtered_access("read")

    # Apart from the figures: the list shows the dates alone.
    @api.depends("key_account_id")
    @api.depends_context("company", "uid")
    def _compute_visit_dates(self):
        readable = self.mapped("key_account_id")._filtered_access("read")
        for partner in self:
            account = partner.key_account_id & readable
            partner.last_visit_date = account.last_visit_date
            partner.next_visit_date = account.next_visit_date

    @api.depends("key_account_id")
    @api.depends_context("company", "uid")
    def _compute_key_account_lost(self):
        readable = self.mapped("key_account_id")._filtered_access("read")
        for partner in self:
            account = partner.key_account_id & readable
            partner.key_account_is_lost = account.is_lost
            partner.key_account_lost_date = account.lost_date

    @api.depends("key_account_id", "account_tier_id")
    @api.depends_context("company", "uid")
    def _compute_key_account(self):
        readable = self.mapped("key_account_id")._filtered_access("read")
        # All tiers at once, as the sentence below and the badge need their names.
        # sudo: a policy may have gone to another company meanwhile.
        (readable.suggested_tier_id | self.account_tier_id).sudo().mapped("name")
        for partner in self:
            account = partner.key_account_id & readable
            partner.key_account_currency_id = self.env.company.currency_id
            partner.key_account_revenue = account.revenue
            partner.key_account_previous_revenue = account.previous_revenue
            partner.key_account_margin = account.margin
            partner.key_account_expected_revenue = account.expected_revenue
            partner.key_account_rank = account.rank
            partner.key_account_share = account.share
            partner.key_account_explanation = partner._get_key_account_explanation(
                account
            )

    @api.depends("key_account_id")
    @api.depends_context("company", "uid")
    def _compute_key_account_cumulative_share(self):
        readable = self.mapped("key_account_id")._filtered_access("read")
        for partner in self:
            account = partner.key_account_id & readable
            partner.key_account_cumulative_share = account.cumulative_share

    def _get_key_account_explanation(self, card):
        """Return one sentence that says why the customer is in its tier."""
        if self.key_account_id and not card:
            return self.env._("The figures are shown to those who serve the customer.")
        if not card.rank:
            return self.env._("Not measured yet: the tiering run fills in the figures.")
        text = self.env._(
            "Rank %(rank)s, with %(share).2f %% of the total.",
            rank=card.rank,
            share=card.share,
        )
        if card.suggested_tier_id and card.suggested_tier_id != self.account_tier_id:
            text += " " + self.env._(
                "The figures alone suggest %s.", card.suggested_tier_id.sudo().name
            )
        return text

    # -------------------------------------------------------------------------
    # Searching, sorting and grouping by decisions
    # -------------------------------------------------------------------------

    def _field_to_sql(self, alias, field_expr, query=None):
        column = DECISIONS.get(field_expr)
        if not column:
            return super()._field_to_sql(alias, field_expr, query)
        self._check_field_access(self._fields[field_expr], "read")
        Account = self.env["key.account"]
        company = self.env.company
        table = "key_account"
        if query is not None:
            table = query.make_alias(alias, f"key_account_{company.id}")

        def identify(name):
            return SQL.identifier(table, name, to_flush=Account._fields[name])

        value = identify(column)
        same = SQL(
            "%s = %s AND %s = %s",
            identify("partner_id"),
            super()._field_to_sql(alias, "commercial_partner_id", query),
            identify("company_id"),
            company.id,
        )
        if query is not None:
            query.add_join("LEFT JOIN", table, "key_account", same)
        else:
            value = SQL("(SELECT %s FROM key_account WHERE %s)", value, same)
        if field_expr == "relationship_level":
            value = SQL("COALESCE(%s, %s)", value, LOWEST_LEVEL)
        elif field_expr == "visit_interval_days":
            value = SQL("COALESCE(%s, 0)", value)
        return value

    # With a search method that gives back the same condition, domains treat a field as
    # the column that _field_to_sql makes of it.

    def _search_account_tier_id(self, operator, value):
        return Domain("account_tier_id", operator, value)

    def _search_account_tier_locked_until(self, operator, value):
        return Domain("account_tier_locked_until", operator, value)

    def _search_account_tier_lock_reason(self, operator, value):
        return Domain("account_tier_lock_reason", operator, value)

    def _search_account_value_type(self, operator, value):
        return Domain("account_value_type", operator, value)

    def _search_executive_sponsor_id(self, operator, value):
        return Domain("executive_sponsor_id", operator, value)

    def _search_visit_interval_days(self, operator, value):
        return Domain("visit_interval_days", operator, value)

    def _search_relationship_level(self, operator, value):
        if operator == "in" and not {LOWEST_LEVEL, False} & set(value):
            # Few accounts, found by an index; COALESCE would have to look at all.
            accounts = (
                self.env["key.account"]
                .sudo()
                ._search(
                    [
                        ("company_id", "=", self.env.company.id),
                        ("relationship_level", "in", value),
                        ("relationship_level", "!=", LOWEST_LEVEL),
                    ]
                )
            )
            return Domain(
                "commercial_partner_id", "in", accounts.subselect("partner_id")
            )
        return Domain("relationship_level", operator, value)

    # -------------------------------------------------------------------------
    # Searching and grouping by activities
    # -------------------------------------------------------------------------

    def _get_activity_state_domains(self):
        """Return {state: domain}, by the activities that the user may read."""
        today = fields.Date.context_today(self)
        late, due, later = (
            Domain("activity_ids", "any", [("date_deadline", compare, today)])
            for compare in ("<", "=", ">")
        )
        return {
            "overdue": late,
            "today": due & ~late,
            "planned": later & ~late & ~due,
            False: ~(late | due | later),
        }

    def _is_every_activity_shown(self):
        return self.env.user.has_group("sales_team.group_sale_salesman_all_leads")

    def _search_activity_state(self, operator, value):
        # core's statement counts activities that the user may not read
        if operator not in ("in", "not in") or self._is_every_activity_shown():
            return super()._search_activity_state(operator, value)
        domains = self._get_activity_state_domains()
        if operator == "not in":
            value = domains.keys() - set(value)
        return Domain.OR(domains[state] for state in value if state in domains)

    def _read_group_groupby(self, alias, groupby_spec, query):
        # as above
        if groupby_spec != "activity_state" or self._is_every_activity_shown():
            return super()._read_group_groupby(alias, groupby_spec, query)
        self._check_field_access(self._fields["activity_state"], "read")
        whens = SQL(" ").join(
            SQL(
                "WHEN %s IN %s THEN %s",
                SQL.identifier(alias, "id"),
                # archived customers too, but no done activities
                self.with_context(active_test=True)
                ._search(domain, active_test=False)
                .subselect(),
                state,
            )
            for state, domain in self._get_activity_state_domains().items()
            if state
        )
        return SQL("CASE %s END", whens)

    def _search_last_visit_date(self, operator, value):
        return self._search_scorecard_date("last_visit_date", operator, value)

    def _search_next_visit_date(self, operator, value):
        return self._search_scorecard_date("next_visit_date", operator, value)

    def _search_key_account_lost_date(self, operator, value):
        return self._search_scorecard_date("lost_date", operator, value)

    def _search_key_account_is_lost(self, operator, value):
        if operator != "in":
            return NotImplemented
        return Domain("key_account_lost_date", "!=", False)

    def _search_scorecard_date(self, field, operator, value):
        if operator in Domain.NEGATIVE_OPERATORS:
            return NotImplemented
        Card = self.env["key.account"]
        company = Domain("company_id", "=", self.env.company.id)
        if operator == "in" and False in value:
            dated = Card._search(company & Domain(field, "!=", False))
            unset = Domain(
                "commercial_partner_id", "not in", dated.subselect("partner_id")
            )
            rest = [day for day in value if day]
            return unset | Domain(
                "commercial_partner_id",
                "in",
                Card._search(company & Domain(field, "in", rest)).subselect(
                    "partner_id"
                ),
            )
        cards = Card._search(company & Domain(field, operator, value))
        return Domain("commercial_partner_id", "in", cards.subselect("partner_id"))

    @api.constrains("partner_latitude", "partner_longitude")
    def _check_coordinates(self):
        for partner in self:
            if abs(partner.partner_latitude) > 90:
                raise ValidationError(
                    self.env._(
                        "The latitude of %s must be from -90 to 90 degrees.",
                        partner.display_name,
                    )
                )
            if abs(partner.partner_longitude) > 180:
                raise ValidationError(
                    self.env._(
                        "The longitude of %s must be from -180 to 180 degrees.",
                        partner.display_name,
                    )
                )

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        # a client's defaults count as well
        defaults = {
            name: self.env.context[f"default_{name}"]
            for name in DECISIONS
            if f"default_{name}" in self.env.context
        }
        decided_list = [
            self._take_decisions({**defaults, **vals}) for vals in vals_list
        ]
        if any(TIER_FIELDS & decided.keys() for decided in decided_list):
            self._check_can_set_tier()
        for name in set().union(*decided_list):
            self._check_field_access(self._fields[name], "write")
        partners = super().create([self._leave_decisions(vals) for vals in vals_list])
        for partner, decided in zip(partners, decided_list, strict=True):
            level = decided.get("relationship_level") or LOWEST_LEVEL
            if (
                decided.get("account_value_type")
                or decided.get("executive_sponsor_id")
                or level != LOWEST_LEVEL
            ):
                partner._check_can_decide_on_account()
                if not partner._can_set_level(level, from_level=LOWEST_LEVEL):
                    partner._refuse_level()
        self._write_decisions(dict(zip(partners, decided_list, strict=True)))
        return partners

    def write(self, vals):
        decided = self._take_decisions(vals)
        # Whoever stops being a contact decides as what it becomes.
        becomes = not {"parent_id", "is_company"}.isdisjoint(vals)
        if decided and not becomes:
            self._check_decisions(decided)
        vals = self._leave_decisions(vals)
        Visit = self.env["key.account.visit"].sudo()
        if vals.get("active") is False:
            # Before core deletes the activities of archived records.
            Visit._close_for_partners(self, self.env._("Customer archived"))
        previous_users = {}
        if "user_id" in vals:
            previous_users = {partner.id: partner.user_id.id for partner in self.sudo()}
        accounts = self.browse()
        if becomes:
            accounts = self.filtered(lambda p: p == p.commercial_partner_id)
            self.env["key.account"]._touch(self)
        res = super().write(vals) if vals or not decided else True
        if decided and becomes:
            self._check_decisions(decided)
        self._write_decisions(dict.fromkeys(self, decided))
        if previous_users:
            changed = self.sudo().filtered(
                lambda partner: partner.user_id.id != previous_users[partner.id]
            )
            changed._hand_over_account(previous_users)
        if vals.get("company_id"):
            Visit._close_for_partners(
                self,
                self.env._("Customer moved to another company"),
                [("company_id", "!=", vals["company_id"])],
            )
        if becomes:
            self._forget_key_accounts()
            accounts.sudo()._become_contacts()
        if vals.get("parent_id") or vals.get("is_company") is not None:
            Visit._follow_commercial_entity(self)
            self.env["key.account.loss"].sudo()._follow_commercial_entity(self)
            self.env["key.account.target"].sudo()._follow_commercial_entity(self)
        return res

    def unlink(self):
        accounts = self.sudo().commercial_partner_id - self
        res = super().unlink()
        self._forget_key_accounts()
        self.env["key.account"].sudo()._refresh_relationships(accounts.exists().ids)
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_visited(self):
        visited = (
            self.env["key.account.visit"]
            .sudo()
            .search([("partner_id", "in", self.ids), ("state", "=", "done")], limit=1)
        )
        if visited:
            raise UserError(
                self.env._(
                    "%s has been visited: archive the customer to keep the history.",
                    visited.partner_id.display_name,
                )
            )

    @api.model
    def _take_decisions(self, vals):
        return {name: vals[name] for name in DECISIONS if name in vals}

    @api.model
    def _leave_decisions(self, vals):
        return {name: value for name, value in vals.items() if name not in DECISIONS}

    def _check_decisions(self, decided):
        """Refuse decisions that the user may not write.

        :param dict decided: values of the customers' fields
        :raise AccessError: for want of rights
        :raise ValidationError: if one of the customers is a contact
        """
        self.check_access("write")
        for name in decided:
            self._check_field_access(self._fields[name], "write")
        if TIER_FIELDS & decided.keys():
            self._check_can_set_tier()
        if GUARDED_FIELDS & decided.keys():
            self._check_own_account()
        self._check_decided_on_accounts()
        if "relationship_level" in decided:
            for partner in self:
                if not partner._can_set_level(decided["relationship_level"]):
                    partner._refuse_level()

    def _write_decisions(self, decided):
        """Hand decisions to the accounts of this company.

        :param dict decided: values of the customers' fields by customer; of contacts
            they say nothing, these show what their account says
        """
        decisions = {}
        for partner, values in decided.items():
            if values and partner == partner.sudo().commercial_partner_id:
                decisions[partner.id] = {
                    DECISIONS[name]: self._fields[name].convert_to_cache(value, partner)
                    for name, value in values.items()
                }
        if decisions:
            # sudo: create and write have checked that the user may
            self.env["key.account"].sudo()._decide(self.env.company, decisions)

    def _check_can_set_tier(self):
        if not self.env.su and not self.env.user.has_group(
            "sales_team.group_sale_manager"
        ):
            raise AccessError(
                self.env._("Only a sales administrator sets or locks account tiers.")
            )

    def _check_decided_on_accounts(self):
        contacts = self.filtered(lambda p: p != p.commercial_partner_id)
        if contacts:
            raise ValidationError(
                self.env._(
                    "Set it on %(account)s: its contacts show the same.",
                    account=contacts[0].commercial_partner_id.display_name,
                )
            )

    def _check_can_decide_on_account(self):
        """Refuse to decide on contacts, and on colleagues' accounts.

        :raise AccessError: if an account has another salesperson
        :raise ValidationError: if one of them is a contact
        """
        self._check_own_account()
        self._check_decided_on_accounts()

    def _check_own_account(self):
        """Refuse those who see their own documents only to decide on colleagues'
        accounts.

        :raise AccessError: if an account has another salesperson
        """
        if self.env.su:
            return
        if not self.env.user.has_group("sales_team.group_sale_salesman"):
            raise AccessError(self.env._("Only sales decides about accounts."))
        for partner in self:
            if not partner._is_own_account():
                account = partner.sudo().commercial_partner_id
                raise AccessError(
                    self.env._(
                        "%(account)s is an account of %(user)s: you decide on your own "
                        "accounts only.",
                        account=account.display_name,
                        user=account.user_id.name,
                    )
                )

    def _is_own_account(self):
        """Return whether the user may see and decide all about the account: it is the
        user's or nobody's, or the user sees everybody's."""
        self.ensure_one()
        user = self.env.user
        account = self.sudo().commercial_partner_id
        return (
            self.env.su
            or account.user_id in (user, user.browse())
            or user.has_group("sales_team.group_sale_salesman_all_leads")
        )

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_set_account_tier(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Set Tier"),
            "res_model": "key.account.tier.set",
            "view_mode": "form",
            "target": "new",
            "context": {"default_partner_id": self.commercial_partner_id.id},
        }

    def action_view_key_account_visits(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_visit_action"
        )
        account = self.commercial_partner_id
        action["domain"] = [("partner_id", "=", account.id)]
        action["context"] = {"default_partner_id": account.id}
        return action

    def action_log_key_account_visit(self):
        """Open the report of a visit that just took place.

        :raise UserError: if the customer is archived
        """
        self.ensure_one()
        return self.env["key.account.visit"]._get_log_action(self)

    def action_view_tier_changes(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_tier_change_action"
        )
        action["domain"] = [("partner_id", "=", self.commercial_partner_id.id)]
        action["context"] = {}
        return action

    def action_open_key_account_loss(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Mark as Lost"),
            "res_model": "key.account.loss.set",
            "view_mode": "form",
            "target": "new",
            "context": {"default_partner_id": self.commercial_partner_id.id},
        }

    def action_key_account_return(self):
        """Note that the lost customer came back to this company.

        :raise UserError: if it isn't lost
        """
        self.ensure_one()
        account = self.commercial_partner_id
        (self | account).check_access("read")
        account._check_own_account()
        # sudo: the check above is the right to do it
        loss = (
            self.env["key.account.loss"]
            .sudo()
            .search(
                [
                    ("partner_id", "=", account.id),
                    ("company_id", "=", self.env.company.id),
                    ("state", "=", "lost"),
                ]
            )
        )
        if not loss:
            raise UserError(
                self.env._("%s isn't lost: refresh the page.", account.display_name)
            )
        loss._return()
        return True

    def action_view_key_account_losses(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_key_account.key_account_loss_action"
        )
        action["domain"] = [("partner_id", "=", self.commercial_partner_id.id)]
        action["context"] = {}
        return action

    # -------------------------------------------------------------------------
    # Business
    # -------------------------------------------------------------------------

    def _become_contacts(self):
        """End what was decided about accounts that are contacts now: whoever they
        belong to decides for them."""
        contacts = self.filtered(lambda p: p != p.commercial_partner_id)
        if not contacts:
            return
        contacts._move_relationship_to_account()
        self.env["key.account.tier.change"].search(
            [("partner_id", "in", contacts.ids), ("state", "=", "proposed")]
        ).write({"state": "rejected", "note": self.env._("Now a contact")})
        self.env["key.account"].search([("partner_id", "in", contacts.ids)]).write(
            dict.fromkeys(DECISIONS.values(), False)
            | {"relationship_level": LOWEST_LEVEL}
        )

    def _follow_merge(self, accounts, inherited):
        """Bring in step what core changed past the ORM when it merged partners into
        this account.

        :param accounts: other accounts that took part
        :param inherited: rows that were theirs
        """
        self.ensure_one()
        cards = self.env["key.account"]
        cards.invalidate_model()
        self._forget_key_accounts()
        cards.search([("partner_id", "=", self.id)])._copy_salesperson()
        # levels are decided, not inherited
        inherited.relationship_level = LOWEST_LEVEL
        cards._update_visit_dates(self.ids)
        cards._refresh_relationships((self | accounts).ids)
        self.env["key.account.loss"]._follow_merge(self)
        # whose they are now
        for model, name in (
            ("key.account.visit", "account_user_id"),
            ("key.account.tier.change", "partner_user_id"),
            ("key.account.relationship.change", "partner_user_id"),
            ("key.account.relationship.evidence", "partner_user_id"),
        ):
            records = self.env[model].search([("partner_id", "=", self.id)])
            self.env.add_to_compute(records._fields[name], records)

    def _hand_over_account(self, previous_users):
        """Give scorecard, history and planned visits to the new salesperson."""
        self.env["key.account"].search(
            [("partner_id", "in", self.ids)]
        )._copy_salesperson()
        self.env["key.account.visit"]._hand_over_partners(self, previous_users)

    def _prepare_key_account_merge(self, target):
        """Settle what two accounts can't both keep, before ``self`` is merged into
        ``target``: planned visits on the same track, proposals, losses, rows.

        :return: rows that become the target's
        """
        reason = self.env._("Merged into %s", target.display_name)
        accounts = self | target
        planned = self.env["key.account.visit"].search(
            [("partner_id", "in", accounts.ids), ("state", "=", "planned")],
            order="date_planned, id",
        )
        # The target isn't lost: nobody has to be won back.
        win_back = planned.filtered(lambda v: v.loss_id and v.partner_id != target)
        win_back._close(reason)
        planned -= win_back
        for visits in planned.grouped(lambda v: (v.company_id, v.track)).values():
            own = visits.filtered(lambda visit: visit.partner_id == target)
            (visits - (own or visits)[:1])._close(reason)
        proposals = self.env["key.account.tier.change"].search(
            [("partner_id", "in", self.ids), ("state", "=", "proposed")]
        )
        proposals.write({"state": "rejected", "note": reason})
        self.env["key.account.relationship.change"].search(
            [("partner_id", "in", self.ids), ("state", "=", "proposed")]
        ).write({"state": "rejected", "note": reason})
        # Whether it is lost is what the target says: the others live on in it.
        self.env["key.account.loss"].search(
            [("partner_id", "in", self.ids), ("state", "=", "lost")]
        )._mark_returned()
        inherited = (
            self.env["key.account"]
            .search([("partner_id", "in", accounts.ids)])
            ._merge_into(target)
        )
        self.env["key.account.target"]._merge(self, target)
        return inherited
