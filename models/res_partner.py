from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from ..const import INTERNAL
from .key_account_engagement import VALUE_TYPES

TIER_FIELDS = {
    "account_tier_id",
    "account_tier_locked_until",
    "account_tier_lock_reason",
}
# What people decide about an account, apart from its tier.
DECIDED_FIELDS = {"account_value_type", "executive_sponsor_id", "relationship_level"}
# What contacts copy from their account, and what they don't keep when they become
# accounts of their own.
COPIED_FIELDS = TIER_FIELDS | DECIDED_FIELDS | {"visit_interval_days"}
DROPPED_FIELDS = TIER_FIELDS | DECIDED_FIELDS


class ResPartner(models.Model):
    _inherit = "res.partner"

    account_tier_id = fields.Many2one(
        "key.account.tier",
        company_dependent=True,
        ondelete="restrict",
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
        company_dependent=True,
        groups="sales_team.group_sale_salesman",
        copy=False,
        help="Until this day, included, the tiering run leaves the tier alone.",
    )
    account_tier_lock_reason = fields.Char(
        string="Lock Reason",
        company_dependent=True,
        groups="sales_team.group_sale_salesman",
        copy=False,
    )
    account_value_type = fields.Selection(
        VALUE_TYPES,
        string="Value Type",
        company_dependent=True,
        groups="sales_team.group_sale_salesman",
        copy=False,
        tracking=True,
        help="What the customer buys on in this company (after Rackham and De "
        "Vincentis).\n"
        "Intrinsic: buys on price; the sale is transactional.\n"
        "Extrinsic: wants advice and added value; the sale is consultative.\n"
        "Strategic: shares competences with us, a relation between enterprises.",
    )
    visit_interval_days = fields.Integer(
        string="Own Visit Interval (days)",
        company_dependent=True,
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
    # The figures of the key-account tab, all read from the scorecard by one query. Not
    # Monetary: rounding would read the currency for each opened form.
    key_account_id = fields.Many2one(
        "key.account",
        compute="_compute_key_account_id",
        groups="sales_team.group_sale_salesman",
    )
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
        compute="_compute_key_account",
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
    @api.depends_context("company", "uid")
    def _compute_key_account_id(self):
        # The rules of the scorecard apply: a rep sees the figures of own accounts.
        cards = self.env["key.account"].search_fetch(
            [
                ("partner_id", "in", self.commercial_partner_id.ids),
                ("company_id", "=", self.env.company.id),
            ],
            order="id",
        )
        card_by_partner = {card.partner_id.id: card for card in cards}
        for partner in self:
            partner.key_account_id = card_by_partner.get(
                partner.commercial_partner_id.id, False
            )

    # Apart from the figures: the list shows the dates alone.
    @api.depends("key_account_id")
    @api.depends_context("company", "uid")
    def _compute_visit_dates(self):
        for partner in self:
            card = partner.key_account_id
            partner.last_visit_date = card.last_visit_date
            partner.next_visit_date = card.next_visit_date

    @api.depends("key_account_id")
    @api.depends_context("company", "uid")
    def _compute_key_account_lost(self):
        for partner in self:
            card = partner.key_account_id
            partner.key_account_is_lost = card.is_lost
            partner.key_account_lost_date = card.lost_date

    @api.depends("key_account_id", "account_tier_id")
    @api.depends_context("company", "uid")
    def _compute_key_account(self):
        # All tiers at once, as the sentence below and the badge need their names.
        cards = self.key_account_id
        # sudo: a policy may have gone to another company meanwhile.
        (cards.suggested_tier_id | self.account_tier_id).sudo().mapped("name")
        for partner in self:
            card = partner.key_account_id
            partner.key_account_currency_id = self.env.company.currency_id
            partner.key_account_revenue = card.revenue
            partner.key_account_previous_revenue = card.previous_revenue
            partner.key_account_margin = card.margin
            partner.key_account_expected_revenue = card.expected_revenue
            partner.key_account_rank = card.rank
            partner.key_account_share = card.share
            partner.key_account_cumulative_share = card.cumulative_share
            partner.key_account_explanation = partner._get_key_account_explanation(card)

    def _get_key_account_explanation(self, card):
        """Return one sentence that says why the customer is in its tier."""
        if not card.rank:
            return self.env._("Not measured yet: the tiering run fills in the figures.")
        text = self.env._(
            "Rank %(rank)s; with all better accounts %(share).1f %% of the total.",
            rank=card.rank,
            share=card.cumulative_share,
        )
        if card.suggested_tier_id and card.suggested_tier_id != self.account_tier_id:
            text += " " + self.env._(
                "The figures alone suggest %s.", card.suggested_tier_id.sudo().name
            )
        return text

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

    @api.constrains("account_tier_id")
    def _check_account_tier_company(self):
        # Contacts only copy: they must not fail for what is wrong with their account.
        for partner in self.sudo().filtered(lambda p: p == p.commercial_partner_id):
            tier_company = partner.account_tier_id.company_id
            if tier_company and tier_company != self.env.company:
                raise ValidationError(
                    self.env._(
                        "The tier %(tier)s belongs to %(company)s: choose one of this "
                        "company's policy.",
                        tier=partner.account_tier_id.name,
                        company=tier_company.name,
                    )
                )

    @api.constrains("visit_interval_days")
    def _check_visit_interval_days(self):
        for partner in self.sudo():
            if partner.visit_interval_days < 0:
                raise ValidationError(
                    self.env._("The visit interval can't be negative: enter 0 or more.")
                )

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model
    def _commercial_fields(self):
        return super()._commercial_fields() + sorted(COPIED_FIELDS)

    @api.model_create_multi
    def create(self, vals_list):
        if any(TIER_FIELDS & vals.keys() for vals in vals_list) or any(
            f"default_{name}" in self.env.context for name in TIER_FIELDS
        ):
            self._check_can_set_tier()
        partners = super().create(vals_list)
        default = "default_account_value_type" in self.env.context
        partners.browse(
            partner.id
            for partner, vals in zip(partners, vals_list, strict=True)
            if vals.get("account_value_type") or default
        )._check_can_decide_on_account()
        tiered = partners.filtered(
            lambda partner: partner == partner.commercial_partner_id
        ).sudo()
        tiered = tiered.filtered("account_tier_id")
        if tiered:
            tiered._log_tier_change({partner.id: False for partner in tiered})
        return partners

    def write(self, vals):
        if (
            self.env.context.get("key_account_merge") is INTERNAL
            and not self.env.su
            and self != self.commercial_partner_id
        ):
            # A contact shows what its account says, not what the merged ones said; as
            # superuser core tells contacts what their account says.
            vals = {key: vals[key] for key in vals if key not in COPIED_FIELDS}
        if TIER_FIELDS & vals.keys():
            self._check_can_set_tier()
            self._check_tier_on_commercial_entity()
        if DECIDED_FIELDS & vals.keys():
            self._check_can_decide_on_account()
        previous_tiers = {}
        if "account_tier_id" in vals:
            previous_tiers = {
                partner.id: partner.account_tier_id.id
                for partner in self.sudo()
                if partner == partner.commercial_partner_id
            }
        Visit = self.env["key.account.visit"].sudo()
        if vals.get("active") is False:
            # Before core deletes the activities of archived records.
            Visit._close_for_partners(self, self.env._("Customer archived"))
        previous_users = {}
        if "user_id" in vals:
            previous_users = {partner.id: partner.user_id.id for partner in self.sudo()}
        contacts = self.browse()
        if {"parent_id", "is_company"} & vals.keys():
            contacts = self.filtered(lambda p: p != p.commercial_partner_id)
        res = super().write(vals)
        contacts._drop_copied_fields()
        if "account_value_type" in vals:
            accounts = self.filtered(lambda p: p == p.commercial_partner_id)
            self.env["key.account"].sudo()._update_value_types(accounts.ids)
        if previous_tiers:
            self.sudo().browse(previous_tiers)._log_tier_change(previous_tiers)
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
        if vals.get("parent_id") or vals.get("is_company") is not None:
            Visit._follow_commercial_entity(self)
            self.env["key.account.loss"].sudo()._follow_commercial_entity(self)
            self.env["key.account.target"].sudo()._follow_commercial_entity(self)
        return res

    def unlink(self):
        accounts = self.sudo().commercial_partner_id - self
        orphans = (
            self.sudo()
            .with_context(active_test=False)
            .search(
                [("commercial_partner_id", "in", self.ids), ("id", "not in", self.ids)]
            )
        )
        res = super().unlink()
        orphans = orphans.exists()
        orphans._drop_copied_fields()
        cards = self.env["key.account"].sudo()
        cards._refresh_relationships(accounts.exists().ids)
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

    def _check_can_set_tier(self):
        if self.env.context.get("key_account_merge") is INTERNAL:
            return
        if not self.env.su and not self.env.user.has_group(
            "sales_team.group_sale_manager"
        ):
            raise AccessError(
                self.env._("Only a sales administrator sets or locks account tiers.")
            )

    def _check_tier_on_commercial_entity(self):
        # Core copies the fields to contacts as superuser.
        contacts = self.filtered(lambda p: p != p.commercial_partner_id)
        if contacts and not self.env.su:
            raise ValidationError(
                self.env._(
                    "Set the tier on %(account)s: its contacts show the same.",
                    account=contacts[0].commercial_partner_id.display_name,
                )
            )

    def _check_can_decide_on_account(self):
        """Refuse to decide on contacts, and on colleagues' accounts.

        :raise AccessError: if an account has another salesperson
        :raise ValidationError: if one of them is a contact
        """
        # Core copies the fields to contacts as superuser.
        merging = self.env.context.get("key_account_merge") is INTERNAL
        if not self or self.env.su or merging:
            return
        self._check_own_account()
        contacts = self.filtered(lambda p: p != p.commercial_partner_id)
        if contacts:
            raise ValidationError(
                self.env._(
                    "Set it on %(account)s: its contacts show the same.",
                    account=contacts[0].commercial_partner_id.display_name,
                )
            )

    def _check_own_account(self):
        """Refuse those who see their own documents only to decide on colleagues'
        accounts.

        :raise AccessError: if an account has another salesperson
        """
        if self.env.su or self.env.context.get("key_account_merge") is INTERNAL:
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

    def _mail_track(self, tracked_fields, initial_values):
        # Core copies an account's values to its contacts: told once is enough.
        if self != self.sudo().commercial_partner_id:
            tracked_fields = {
                name: description
                for name, description in tracked_fields.items()
                if name not in DECIDED_FIELDS
            }
        return super()._mail_track(tracked_fields, initial_values)

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

    def _log_tier_change(self, previous_tiers):
        """Keep the history, the scorecard and the leads in step with a tier that was
        written on the customer, in the current company."""
        company = self.env.company
        changed = self.filtered(
            lambda partner: partner.account_tier_id.id != previous_tiers[partner.id]
        )
        if not changed:
            return
        if self.env.context.get("key_account_skip_change") is not INTERNAL:
            self.env["key.account.tier.change"].search(
                [
                    ("partner_id", "in", changed.ids),
                    ("company_id", "=", company.id),
                    ("state", "=", "proposed"),
                ]
            ).write({"state": "rejected", "note": self.env._("Set by hand")})
            self.env["key.account.tier.change"].create(
                [
                    {
                        "partner_id": partner.id,
                        "company_id": company.id,
                        "from_tier_id": previous_tiers[partner.id],
                        "to_tier_id": partner.account_tier_id.id,
                        "state": "applied",
                        "reason": self.env.context.get("key_account_reason")
                        or partner.account_tier_lock_reason
                        or self.env._("Set by hand"),
                        "user_id": self.env.uid,
                    }
                    for partner in changed
                ]
            )
        cards = self.env["key.account"]
        cards._ensure(changed.ids, company)
        today = self.env["key.account.policy"]._get_today(company)
        for tier, partners in changed.grouped("account_tier_id").items():
            cards.search(
                [("partner_id", "in", partners.ids), ("company_id", "=", company.id)]
            ).write({"tier_id": tier.id, "tier_since": today})
        # Which contacts are required depends on the tier.
        cards._refresh_relationships(changed.ids)

    def _drop_copied_fields(self):
        """An account that was a contact before starts without what was decided about
        its former company, in every company."""
        accounts = self.filtered(lambda p: p == p.commercial_partner_id).sudo()
        if accounts:
            for company in self.env["res.company"].sudo().search(Domain.TRUE):
                # it never was on that level itself: no change to remember
                accounts.with_company(company).with_context(
                    key_account_skip_change=INTERNAL
                ).write(dict.fromkeys(DROPPED_FIELDS, False))

    def _copy_account_fields(self):
        """Let the contacts of an account show what it says, in every company: core
        merges these fields past the ORM, those of contacts among them."""
        contacts = self.with_context(active_test=False).search(
            [("commercial_partner_id", "=", self.id), ("id", "!=", self.id)]
        )
        if contacts:
            for company in self.env["res.company"].sudo().search(Domain.TRUE):
                account = self.with_company(company)
                contacts.with_company(company).write(
                    account._convert_fields_to_values(sorted(COPIED_FIELDS))
                )

    def _get_levels(self):
        """Return {company: level} in every company."""
        companies = self.env["res.company"].sudo().search(Domain.TRUE)
        return {
            company: self.sudo().with_company(company).relationship_level
            for company in companies
        }

    def _follow_merge(self, levels, accounts):
        """Bring in step what core changed past the ORM when it merged partners into
        this account.

        :param dict levels: the levels before: they are decided, not inherited
        :param accounts: other accounts that took part
        """
        self.ensure_one()
        for company, level in levels.items():
            account = self.with_company(company)
            if account.relationship_level != level:
                account.with_context(
                    key_account_skip_change=INTERNAL
                ).relationship_level = level
        self._copy_account_fields()
        cards = self.env["key.account"]
        cards.search([("partner_id", "=", self.id)])._copy_salesperson()
        cards._update_visit_dates(self.ids)
        cards._update_value_types(self.ids)
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
        ``target``: planned visits on the same track, proposals, losses, scorecards."""
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
        cards = self.env["key.account"].search(
            [("partner_id", "in", accounts.ids)]
        )
        kept = cards.filtered(lambda card: card.partner_id == target)
        for card in cards - kept:
            if card.company_id not in kept.company_id:
                # the target needs one, and the tier comes along with the fields
                kept |= card
        (cards - kept).unlink()
        self.env["key.account.target"]._merge(self, target)
        # The next run knows what is due at the one that stays.
        self.env["key.account.backlog"].search(
            [("partner_id", "in", accounts.ids)]
        ).unlink()
