import logging
from collections import defaultdict
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg2.errors
import pytz

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, clean_context, format_date, mute_logger, split_every

from ..const import DECISION_LEVELS, INTERNAL, RELATIONSHIP_LEVELS
from ..engine import buying_center
from ..engine import cadence as engine
from .key_account_cadence import TRACK_MODES, TRACKS

_logger = logging.getLogger(__name__)

BATCH_SIZE = 500
# Written by planning and by the buttons, never by a client.
SYSTEM_FIELDS = {
    "account_user_id",
    "activity_id",
    "cadence_id",
    "close_reason",
    "date_cancelled",
    "date_due",
    "date_latest",
    "date_resume",
    "is_date_fixed",
    "relationship_level",
    "target_level",
    "target_role_id",
    "loss_id",
    "tier_id",
}
# Persons who work at the visit's customer, or the customer, if it is a person.
CONTACT_DOMAIN = (
    "[('commercial_partner_id', '=', partner_id), ('is_company', '=', False),"
    " ('type', '=', 'contact')]"
)
# What the scorecards' last and next visit depend on.
ACCOUNT_FIELDS = {
    "company_id",
    "date_done",
    "date_planned",
    "partner_id",
    "state",
}
# What coverage and the relationship ladder read off visits.
RELATIONSHIP_FIELDS = {"company_id", "contact_ids", "date_done", "partner_id", "state"}
# What a visit was about can't be changed once it is done or cancelled.
HISTORY_FIELDS = {
    "company_id",
    "date_done",
    "date_planned",
    "lead_id",
    "partner_id",
    "track",
    "user_id",
}


class Due(NamedTuple):
    """An account (or a lead without one) that is to be visited on a track."""

    partner_id: int | None
    lead_id: int | None
    tier_id: int | None
    user_id: int | None
    own_interval: int
    last_done: object
    resume: object
    track: str = "visit"
    level: str | None = None
    sponsor_id: int | None = None
    # the account is lost, and this is the visit to win it back
    loss_id: int | None = None


class KeyAccountVisit(models.Model):
    """Who met whom, or is going to. While it is planned, a visit owns exactly one
    activity on the customer (or on the lead, while that has no customer): the rep
    works with the activity, and both are kept in step from either side.
    """

    _name = "key.account.visit"
    _description = "Customer Visit"
    _order = "date_planned desc, id desc"

    name = fields.Char(
        string="Customer or Lead",
        compute="_compute_name",
        # sudo: whoever may read the visit may read whose it is
        compute_sudo=True,
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        index="btree_not_null",
        ondelete="cascade",
        help="The customer's company. Contacts count for their company.",
    )
    lead_id = fields.Many2one(
        "crm.lead",
        index="btree_not_null",
        ondelete="cascade",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    user_id = fields.Many2one(
        "res.users",
        string="Salesperson",
        index=True,
        default=lambda self: self.env.user,
        domain=[("share", "=", False)],
    )
    # A copy for the record rules: a rep sees the visits of own customers, whoever
    # made them.
    account_user_id = fields.Many2one(
        "res.users",
        string="Customer's Salesperson",
        compute="_compute_account_user_id",
        store=True,
        index=True,
    )
    team_id = fields.Many2one("crm.team", string="Sales Team", ondelete="set null")
    tier_id = fields.Many2one(
        "key.account.tier",
        readonly=True,
        ondelete="restrict",
        help="Tier of the customer when the visit was planned.",
    )
    tier_color = fields.Integer(related="tier_id.color")
    relationship_level = fields.Selection(
        RELATIONSHIP_LEVELS,
        readonly=True,
        help="Level of the relationship when the visit was planned.",
    )
    target_contact_id = fields.Many2one(
        "res.partner",
        string="Whom to See",
        ondelete="set null",
        copy=False,
        domain=CONTACT_DOMAIN,
        help="The contact who should be met. The plan names whoever was seen longest "
        "ago in the tier's required cells.",
    )
    # For lists: a contact's full name starts with the customer's.
    target_name = fields.Char(
        related="target_contact_id.name",
        string="Whom to See (Name)",
    )
    target_role_id = fields.Many2one(
        "key.account.buying.role",
        string="For the Role",
        readonly=True,
        copy=False,
        ondelete="set null",
    )
    target_level = fields.Selection(
        DECISION_LEVELS,
        string="On the Level",
        readonly=True,
        copy=False,
    )
    contact_ids = fields.Many2many(
        "res.partner",
        "key_account_visit_contact_rel",
        "visit_id",
        "contact_id",
        string="Whom We Met",
        copy=False,
        context={"active_test": False},
        domain=CONTACT_DOMAIN,
        help="Counts for the coverage of the buying centre once the visit is done.",
    )
    cadence_id = fields.Many2one(
        "key.account.cadence",
        readonly=True,
        copy=False,
        ondelete="set null",
        help="The line that asked for the visit; empty: planned by hand.",
    )
    loss_id = fields.Many2one(
        "key.account.loss",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        help="The loss of the account that the visit is to undo.",
    )
    track = fields.Selection(TRACKS, required=True, default="visit")
    mode = fields.Selection(
        [
            ("on_site", "On site"),
            ("online", "Online"),
            ("phone", "Phone"),
            ("mail", "Mail"),
        ],
        compute="_compute_mode",
        store=True,
        readonly=False,
        required=True,
        precompute=True,
    )
    state = fields.Selection(
        [
            ("planned", "Planned"),
            ("done", "Done"),
            ("missed", "Missed"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        default="planned",
        index=True,
        copy=False,
    )
    date_due = fields.Date(
        string="Due",
        readonly=True,
        copy=False,
        help="The day that the cadence asks for, before working days and leaves.",
    )
    date_planned = fields.Date(
        string="Planned For",
        index=True,
        default=fields.Date.context_today,
    )
    date_latest = fields.Date(
        string="Not Later Than",
        readonly=True,
        copy=False,
        help="End of the visit's window: due date plus 30 % of the interval.",
    )
    date_done = fields.Date(string="Done On", index=True, copy=False)
    date_cancelled = fields.Date(string="Cancelled On", readonly=True, copy=False)
    date_resume = fields.Date(
        string="Come Back On",
        readonly=True,
        copy=False,
        help="The next visit is due on this day.",
    )
    is_date_fixed = fields.Boolean(
        string="Moved by Hand",
        readonly=True,
        copy=False,
        help="A person chose the date: planning leaves it alone.",
    )
    is_overdue = fields.Boolean(
        compute="_compute_is_overdue",
        search="_search_is_overdue",
    )
    summary = fields.Char(
        string="Reason",
        help="Why the customer is to be seen.",
    )
    engagement_strategy = fields.Html(
        string="How to Treat This Customer",
        compute="_compute_engagement_strategy",
        # sudo: the text is for whoever may read the visit
        compute_sudo=True,
        # the texts are clean when they are stored
        sanitize=False,
    )
    objective = fields.Char(help="What the visit is to achieve.")
    feedback = fields.Text(copy=False, help="What came of the visit.")
    close_reason = fields.Char(readonly=True, copy=False)
    activity_id = fields.Many2one(
        "mail.activity",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )

    _account_or_lead = models.Constraint(
        "CHECK(partner_id IS NOT NULL OR lead_id IS NOT NULL)",
        "A visit needs a customer or a lead.",
    )
    _planned_partner_uniq = models.UniqueIndex(
        "(partner_id, company_id, track) "
        "WHERE state = 'planned' AND partner_id IS NOT NULL",
        "The customer already has a planned visit of this kind: move that one.",
    )
    _planned_lead_uniq = models.UniqueIndex(
        "(lead_id, track) WHERE state = 'planned' AND partner_id IS NULL",
        "The lead already has a planned visit of this kind: move that one.",
    )
    _history_idx = models.Index("(company_id, track, partner_id, state)")

    # -------------------------------------------------------------------------
    # Computes
    # -------------------------------------------------------------------------

    @api.depends("partner_id", "lead_id")
    def _compute_name(self):
        for visit in self:
            record = visit.partner_id or visit.lead_id
            visit.name = visit._is_shown(record) and record.display_name

    def _is_shown(self, record):
        """Return whether a computation as superuser may show something of ``record``:
        on a visit that isn't saved yet, a client can name any."""
        return bool(self._origin) or record.sudo(False).has_access("read")

    @api.depends("partner_id.user_id", "lead_id.user_id")
    def _compute_account_user_id(self):
        for visit in self:
            visit.account_user_id = (visit.partner_id or visit.lead_id).user_id

    @api.depends("name", "date_planned", "date_done")
    @api.depends_context("key_account_visit_name_only")
    def _compute_display_name(self):
        # the calendar shows the date already
        if self.env.context.get("key_account_visit_name_only"):
            for visit in self:
                visit.display_name = visit.name
            return
        for visit in self:
            day = visit.date_done or visit.date_planned
            parts = [visit.name, day and format_date(self.env, day)]
            visit.display_name = ", ".join(part for part in parts if part)

    @api.depends("track")
    def _compute_mode(self):
        for visit in self:
            visit.mode = TRACK_MODES.get(visit.track, "on_site")

    @api.depends(
        "company_id", "partner_id.account_value_type", "partner_id.industry_id"
    )
    @api.depends_context("lang")
    def _compute_engagement_strategy(self):
        lines = self.env["key.account.engagement"]._get_lines(self.company_id)
        for company, visits in self.grouped("company_id").items():
            for visit in visits:
                account = visit.partner_id.with_company(company)
                own = visit._origin or company in self.env.companies
                if not own or not visit._is_shown(visit.partner_id):
                    visit.engagement_strategy = False
                    continue
                visit.engagement_strategy = lines._match(
                    account.account_value_type, account.industry_id, company
                )._get_html()

    @api.depends("state", "date_planned")
    @api.depends_context("tz")
    def _compute_is_overdue(self):
        today = fields.Date.context_today(self)
        for visit in self:
            visit.is_overdue = (
                visit.state == "planned"
                and bool(visit.date_planned)
                and visit.date_planned < today
            )

    def _search_is_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        return Domain("state", "=", "planned") & Domain(
            "date_planned", "<", fields.Date.context_today(self)
        )

    # -------------------------------------------------------------------------
    # Constraints
    # -------------------------------------------------------------------------

    @api.constrains("state", "date_planned", "date_done", "partner_id")
    def _check_dates(self):
        for visit in self:
            if visit.state == "planned" and not visit.date_planned:
                raise ValidationError(
                    self.env._("A planned visit needs a date: enter the day.")
                )
            if visit.state == "done":
                if not visit.date_done:
                    raise ValidationError(
                        self.env._("A done visit needs the day on which it took place.")
                    )
                if visit.date_done > visit._get_today():
                    raise ValidationError(
                        self.env._(
                            "A visit can't be done in the future: enter today or an "
                            "earlier day."
                        )
                    )

    @api.constrains("user_id", "company_id")
    def _check_user(self):
        for visit in self.filtered("user_id"):
            user = visit.user_id.sudo()
            if user.share or visit.company_id not in user.company_ids:
                raise ValidationError(
                    self.env._(
                        "%(user)s doesn't work for %(company)s: choose another "
                        "salesperson.",
                        user=user.name,
                        company=visit.company_id.name,
                    )
                )

    @api.constrains("state", "partner_id")
    def _check_partner_active(self):
        for visit in self.filtered(lambda visit: visit.state == "planned"):
            if visit.partner_id and not visit.partner_id.active:
                raise ValidationError(
                    self.env._(
                        "%s is archived: restore the customer before you plan a visit.",
                        visit.partner_id.display_name,
                    )
                )

    def _check_contacts(self, known=None):
        """Refuse contacts of other customers, and addresses.

        :param dict known: contacts per visit that were named before: who changed jobs
            since then stays in the history
        """
        for visit in self.sudo():
            named = visit.contact_ids | visit.target_contact_id
            strangers = (named - (known or {}).get(visit.id, named.browse())).filtered(
                lambda contact, visit=visit: (
                    contact.commercial_partner_id != visit.partner_id
                    or contact.is_company
                    or contact.type != "contact"
                )
            )
            if strangers:
                raise ValidationError(
                    self.env._(
                        "%(contact)s is no contact person of %(customer)s: choose "
                        "somebody who works there.",
                        contact=strangers[0].display_name,
                        customer=visit.name,
                    )
                )

    # -------------------------------------------------------------------------
    # CRUD
    # -------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        self._check_system_fields(vals_list)
        if not self.env.su:
            # Defaults from a client's context are values of the client.
            self = self.with_context(clean_context(self.env.context))
        vals_list = [dict(vals) for vals in vals_list]
        partners = self.env["res.partner"].browse(
            vals["partner_id"] for vals in vals_list if vals.get("partner_id")
        )
        account_by_partner = {
            partner.id: partner.commercial_partner_id for partner in partners
        }
        leads = self.env["crm.lead"].browse(
            vals["lead_id"] for vals in vals_list if vals.get("lead_id")
        )
        account_by_lead = {
            lead.id: lead.partner_id.commercial_partner_id for lead in leads
        }
        for vals in vals_list:
            account = account_by_partner.get(vals.get("partner_id"))
            account = account or account_by_lead.get(vals.get("lead_id"))
            vals["partner_id"] = account.id if account else False
            company = self.env["res.company"].browse(
                vals.get("company_id") or self.env.company.id
            )
            if vals.get("state") == "done" and not vals.get("date_done"):
                user = self.env["res.users"].browse(vals.get("user_id", self.env.uid))
                vals["date_done"] = self._get_user_today(user, company)
        visits = super().create(vals_list)
        # what planning chose is right
        visits.filtered(
            lambda visit: (
                visit.contact_ids or (visit.target_contact_id and not visit.cadence_id)
            )
        )._check_contacts()
        visits.filtered(lambda visit: not visit.cadence_id)._copy_tier()
        visits._create_activities()
        visits._update_accounts()
        visits._update_relationships()
        return visits

    def write(self, vals):
        if self.env.context.get("key_account_visit_sync") is INTERNAL:
            accounts = self.partner_id
            res = super().write(vals)
            if ACCOUNT_FIELDS & vals.keys():
                self._update_accounts(accounts)
            if RELATIONSHIP_FIELDS & vals.keys():
                self._update_relationships(accounts, vals)
            return res
        vals = dict(vals)
        self._check_system_fields([vals])
        state = vals.pop("state", None)
        closed = self.filtered(lambda visit: visit.state != "planned")
        if closed and HISTORY_FIELDS & vals.keys() and not self.env.su:
            raise UserError(
                self.env._(
                    "The visit to %s is closed: its customer, date and salesperson "
                    "stay as they are.",
                    closed[0].name,
                )
            )
        self._complete_values(vals)
        known = {}
        if {"contact_ids", "target_contact_id"} & vals.keys():
            known = {
                visit.id: visit.contact_ids | visit.target_contact_id
                for visit in self.sudo().with_context(active_test=False)
            }
        accounts = self.partner_id
        res = super().write(vals) if vals else True
        if known:
            self.with_context(active_test=False)._check_contacts(known)
        self.filtered(lambda visit: visit.state == "planned")._carry_to_activities(vals)
        if ACCOUNT_FIELDS & vals.keys():
            self._update_accounts(accounts)
        if RELATIONSHIP_FIELDS & vals.keys():
            self._update_relationships(accounts, vals)
        if state:
            self._change_state(state)
        return res

    def _complete_values(self, vals):
        """Add to ``vals`` what follows from what a person writes."""
        if vals.get("partner_id"):
            partner = self.env["res.partner"].browse(vals["partner_id"])
            vals["partner_id"] = partner.commercial_partner_id.id
            if self.partner_id.ids not in ([], [vals["partner_id"]]):
                # They work for the former customer.
                vals.setdefault("target_contact_id", False)
                vals.setdefault("contact_ids", [fields.Command.clear()])
        if "date_planned" in vals:
            vals["is_date_fixed"] = True
        if "target_contact_id" in vals:
            # Chosen by a person, and so for no cell.
            vals.update(target_role_id=False, target_level=False)

    def _carry_to_activities(self, vals):
        if {"date_planned", "user_id"} & vals.keys():
            self._update_activities(vals)
        if {"partner_id", "lead_id"} & vals.keys():
            self._move_activities()
        if "target_contact_id" in vals:
            self._update_activity_summaries()

    def unlink(self):
        accounts = self.partner_id
        self.sudo().activity_id.filtered("active").with_context(
            key_account_visit_sync=INTERNAL
        ).unlink()
        res = super().unlink()
        self.env["key.account.scorecard"].sudo()._update_visit_dates(accounts.ids)
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_done(self):
        if any(visit.state == "done" for visit in self):
            raise UserError(
                self.env._("A done visit is part of the customer's history: keep it.")
            )

    def _check_system_fields(self, vals_list):
        """Refuse what a client must not write, and leads that the user can't read."""
        if self.env.su:
            return
        if any(SYSTEM_FIELDS & vals.keys() for vals in vals_list):
            raise AccessError(
                self.env._(
                    "Planning alone writes a visit's activity, tier and reasons."
                )
            )
        self.env["crm.lead"].browse(
            vals["lead_id"] for vals in vals_list if vals.get("lead_id")
        ).check_access("read")

    def _copy_tier(self):
        """Note the customer's tier on visits that a person planned or logged."""
        synced = self.sudo().with_context(key_account_visit_sync=INTERNAL)
        for visit in synced.filtered(lambda visit: not visit.tier_id):
            account = visit.partner_id.with_company(visit.company_id)
            visit.tier_id = account.account_tier_id or visit.lead_id.account_tier_id
            visit.relationship_level = account.relationship_level

    def _change_state(self, state):
        """Written from outside, a state takes the same way as the buttons."""
        changed = self.filtered(lambda visit: visit.state != state)
        if not changed:
            return
        if state == "done":
            changed.action_done()
        elif state == "cancelled":
            changed.action_cancel()
        else:
            raise UserError(
                self.env._(
                    "A visit can only be marked done or cancelled: plan a new one."
                )
            )

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_done(self, feedback=False):
        """Mark planned visits done today, and plan the next ones.

        :param str feedback: what came of the visit; posted on the customer
        :raise UserError: if a visit isn't planned any more
        """
        self.check_access("write")
        self._check_planned()
        activities = self.activity_id.filtered("active")
        if activities:
            # Posts the message and archives, which brings us to _follow_activities
            activities.action_feedback(feedback=feedback)
        rest = self.sudo().filtered(lambda visit: visit.state == "planned")
        rest._mark_done()
        if feedback:
            rest.with_context(key_account_visit_sync=INTERNAL).feedback = feedback
        return True

    def action_cancel(self, date_resume=False, reason=False):
        """Cancel planned visits.

        :param date date_resume: when to come back; default: one interval after the
            planned date
        :param str reason: why, in words
        :raise UserError: if a visit isn't planned any more
        :raise ValidationError: if the day to come back lies in the past
        """
        self.check_access("write")
        self._check_planned()
        date_resume = fields.Date.to_date(date_resume)
        if date_resume and any(date_resume < visit._get_today() for visit in self):
            raise ValidationError(
                self.env._("The day to come back is in the past: choose a later one.")
            )
        self.sudo()._cancel(reason or self.env._("Cancelled by hand"), date_resume)
        return True

    def action_open_cancel(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Cancel Visit"),
            "res_model": "key.account.visit.cancel",
            "view_mode": "form",
            "target": "new",
            "context": {"default_visit_id": self.id},
        }

    def action_open_document(self):
        """Open the customer, or the lead while it has none."""
        self.ensure_one()
        record = self.partner_id or self.lead_id
        return {
            "type": "ir.actions.act_window",
            "res_model": record._name,
            "res_id": record.id,
            "view_mode": "form",
        }

    def _check_planned(self):
        closed = self.filtered(lambda visit: visit.state != "planned")
        if closed:
            raise UserError(
                self.env._(
                    "The visit %s is not planned any more: refresh the page.",
                    closed[0].display_name,
                )
            )

    # -------------------------------------------------------------------------
    # Visits and activities
    # -------------------------------------------------------------------------

    def _get_today(self):
        """Return today's date for the visit's salesperson."""
        return self._get_user_today(self.user_id, self.company_id)

    @api.model
    def _get_user_today(self, user, company):
        return datetime.now(self._get_user_tz(user, company)).date()

    @api.model
    def _get_user_tz(self, user, company):
        return pytz.timezone(
            user.sudo().tz or company.sudo().resource_calendar_id.tz or "UTC"
        )

    def _create_activities(self):
        """Give each planned visit without an activity one, in batches.

        No mail goes out: ``mail_activity_quick_update`` keeps core from telling
        everybody about every activity; the daily digest does.
        """
        visits = self.filtered(
            lambda visit: visit.state == "planned" and not visit.activity_id
        )
        if not visits:
            return
        for batch in split_every(BATCH_SIZE, visits.ids, visits.browse):
            batch = batch.sudo()
            # Core reads the name of each record on its own, unless it is known.
            batch.partner_id.mapped("display_name")
            batch.lead_id.mapped("display_name")
            types = {
                key: key[0]._get_activity_type(key[1])
                for key in {(visit.cadence_id, visit.track) for visit in batch}
            }
            activities = (
                self.env["mail.activity"]
                .sudo()
                .with_context(mail_activity_quick_update=True)
                .create(
                    [
                        {
                            **visit._prepare_document_values(),
                            "activity_type_id": types[visit.cadence_id, visit.track].id,
                            "summary": visit._get_activity_summary(),
                            "note": visit.objective,
                            "date_deadline": visit.date_planned,
                            "user_id": visit.user_id.id,
                            "automated": bool(visit.cadence_id),
                            "is_key_account_visit": True,
                        }
                        for visit in batch
                    ]
                )
            )
            synced = batch.with_context(key_account_visit_sync=INTERNAL)
            for visit, activity in zip(synced, activities, strict=True):
                visit.activity_id = activity

    def _prepare_document_values(self):
        """Return the activity's link to the document that the visit is about."""
        record = self.partner_id or self.lead_id
        return {
            "res_model_id": self.env["ir.model"]._get_id(record._name),
            "res_id": record.id,
        }

    def _update_activities(self, vals):
        """Carry a new date or salesperson from the visits to their activities."""
        activity_vals = {}
        if "date_planned" in vals:
            activity_vals["date_deadline"] = vals["date_planned"]
        if "user_id" in vals:
            activity_vals["user_id"] = vals["user_id"]
        self.sudo().activity_id.with_context(
            key_account_visit_sync=INTERNAL, mail_activity_quick_update=True
        ).write(activity_vals)

    def _move_activities(self):
        for visit in self.sudo():
            visit.activity_id.with_context(
                key_account_visit_sync=INTERNAL, mail_activity_quick_update=True
            ).write(visit._prepare_document_values())

    def _follow_activities(self, vals):
        """Do with the visits what was done with their activities."""
        synced = self.with_context(key_account_visit_sync=INTERNAL)
        planned = synced.filtered(lambda visit: visit.state == "planned")
        if vals.get("date_deadline"):
            planned.write(
                {"date_planned": vals["date_deadline"], "is_date_fixed": True}
            )
        if "user_id" in vals:
            planned.write({"user_id": vals["user_id"]})
        if vals.get("feedback"):
            synced.write({"feedback": vals["feedback"]})
        if vals.get("active") is False:
            planned._mark_done()
        elif vals.get("active"):
            synced.filtered(lambda visit: visit.state == "done")._reopen()

    def _reopen(self):
        """Plan done visits again, because their activities were restored."""
        for visit in self:
            document = [("partner_id", "=", visit.partner_id.id)]
            if not visit.partner_id:
                document.append(("lead_id", "=", visit.lead_id.id))
            taken = self.search(
                [
                    *document,
                    ("state", "=", "planned"),
                    ("company_id", "=", visit.company_id.id),
                    ("track", "=", visit.track),
                ],
                limit=1,
            )
            if taken:
                raise UserError(
                    self.env._(
                        "The next visit, %s, is planned already: work with that one.",
                        taken.display_name,
                    )
                )
            visit.write({"state": "planned", "date_done": False})

    def _mark_done(self):
        """Close planned visits as done today in their salesperson's time zone, and
        plan the next ones at once, however far away they are."""
        synced = self.with_context(key_account_visit_sync=INTERNAL)
        # A day that was named goes before today.
        for day, visits in synced.grouped(
            lambda visit: visit.date_done or visit._get_today()
        ).items():
            visits.write({"state": "done", "date_done": day})
        for (company, track), visits in self.grouped(
            lambda visit: (visit.company_id, visit.track)
        ).items():
            if company.key_account_planning:
                self._create_due(
                    company,
                    self._get_due(
                        company,
                        [track],
                        visits.partner_id.ids,
                        visits.filtered(lambda visit: not visit.partner_id).lead_id.ids,
                    ),
                    horizon=None,
                )

    def _cancel(self, reason, date_resume=None, unlink_activities=True):
        """Cancel on a person's behalf: the account is due again on ``date_resume``,
        by default one interval after the planned date, so that the next run doesn't
        undo the cancellation."""
        for day, visits in self.grouped(
            lambda visit: date_resume or visit._get_default_resume()
        ).items():
            visits._close(reason, day, unlink_activities=unlink_activities)

    def _get_default_resume(self):
        line = self.cadence_id
        day = max(self.date_planned, self._get_today())
        days = self.partner_id.with_company(self.company_id).visit_interval_days
        if self.track == "visit" and days:
            return engine.add_interval(day, days, "day")
        return engine.add_interval(
            day, line.interval_count or 1, line.interval_unit or "month"
        )

    def _close(self, reason, date_resume=False, unlink_activities=True):
        """Cancel visits. Without ``date_resume`` the cadence goes on from the last
        done visit, as if this one had never been planned."""
        activities = self.activity_id
        synced = self.with_context(key_account_visit_sync=INTERNAL)
        for today, visits in synced.grouped(lambda visit: visit._get_today()).items():
            visits.write(
                {
                    "state": "cancelled",
                    "close_reason": reason,
                    "date_cancelled": today,
                    "date_resume": date_resume,
                }
            )
        # What takes their place must not meet them in the unique indexes.
        self.flush_recordset()
        if unlink_activities:
            activities.with_context(key_account_visit_sync=INTERNAL).unlink()

    def _update_accounts(self, others=None):
        """Keep the scorecards of the visited accounts in step."""
        cards = self.env["key.account.scorecard"].sudo()
        for company, visits in self.sudo().grouped("company_id").items():
            cards._ensure(visits.partner_id.ids, company)
        cards._update_visit_dates((self.partner_id | (others or self.partner_id)).ids)

    def _update_relationships(self, previous=None, vals=()):
        """Bring coverage and ladder of the visited accounts up to date. Only visits
        that are or were done count for them.

        :param previous: the accounts before ``vals`` were written
        """
        done = self.filtered(lambda visit: visit.state == "done")
        accounts = done.partner_id
        if previous and (done or "date_done" in vals):
            accounts |= previous
        if accounts:
            self.env["key.account.scorecard"].sudo()._refresh_relationships(
                accounts.ids
            )

    def _get_activity_summary(self):
        """Return why the customer is to be seen, and whom to see there, in the language
        of the salesperson."""
        self.ensure_one()
        visit = self.with_context(lang=self.user_id.lang or self.env.lang)
        target = visit._get_target_text(
            visit.target_contact_id, visit.target_role_id, visit.target_level
        )
        return "; ".join(text for text in (visit.summary, target) if text)

    @api.model
    def _get_target_text(self, contact, role, level):
        """Return whom to see in words, such as "see Ann Lee (Decision maker, Top)"."""
        cell = self.env["key.account.tier.cell"]._get_cell_name(role, level)
        # sudo: whoever may read the visit may read whom it is about
        name = contact.sudo().name
        if name and cell:
            return self.env._("see %(name)s (%(cell)s)", name=name, cell=cell)
        if name:
            return self.env._("see %s", name)
        return cell and self.env._("find out who it is: %s", cell)

    def _update_activity_summaries(self):
        for visit in self.sudo():
            visit.activity_id.with_context(
                key_account_visit_sync=INTERNAL, mail_activity_quick_update=True
            ).summary = visit._get_activity_summary()

    # -------------------------------------------------------------------------
    # Hand-over: customers, leads and users that change
    # -------------------------------------------------------------------------

    @api.model
    def _close_for_partners(self, partners, reason, domain=()):
        """Close the planned visits of ``partners``."""
        if partners:
            self.search(
                [
                    ("partner_id", "in", partners.ids),
                    ("state", "=", "planned"),
                    *domain,
                ]
            )._close(reason)

    @api.model
    def _follow_commercial_entity(self, partners):
        """Move the visits of partners that became contacts to their company."""
        visits = self.search([("partner_id", "in", partners.ids)])
        for visit in visits.with_context(key_account_visit_sync=INTERNAL):
            account = visit.partner_id.commercial_partner_id
            if account == visit.partner_id:
                continue
            if visit.state == "planned":
                visit._close(self.env._("Now a contact of %s", account.display_name))
            visit.partner_id = account
        self.env["key.account.scorecard"]._update_visit_dates(partners.ids)

    @api.model
    def _close_for_leads(self, leads, reason):
        """Close the planned visits of leads that have no customer."""
        if leads:
            self.search(self._get_planned_lead_domain(leads))._close(reason)

    @api.model
    def _follow_lead_customer(self, leads):
        """Move the visits of leads to the customer that they got. Where the customer
        has a planned visit already, that one stays."""
        for visit in self.search(
            [("lead_id", "in", leads.ids), ("partner_id", "=", False)]
        ):
            account = visit.lead_id.partner_id.commercial_partner_id
            if not account:
                continue
            if visit.state == "planned":
                taken = self.search_count(
                    [
                        ("partner_id", "=", account.id),
                        ("company_id", "=", visit.company_id.id),
                        ("track", "=", visit.track),
                        ("state", "=", "planned"),
                    ],
                    limit=1,
                )
                if taken:
                    visit._close(
                        self.env._("%s has a visit planned", account.display_name)
                    )
            visit.with_context(key_account_visit_sync=INTERNAL).partner_id = account
            if visit.state == "planned":
                visit._move_activities()

    @api.model
    def _follow_lead_company(self, leads):
        """Move the planned visits of leads without customer to the leads' companies."""
        for visit in self.search(self._get_planned_lead_domain(leads)):
            if visit.lead_id.company_id != visit.company_id:
                visit.with_context(
                    key_account_visit_sync=INTERNAL
                ).company_id = visit.lead_id.company_id

    @api.model
    def _hand_over_leads(self, leads, previous_users):
        """Give the planned visits of leads without customer to the leads' salespersons;
        see :meth:`_hand_over_partners`."""
        self.search(self._get_planned_lead_domain(leads)).filtered(
            lambda visit: (
                not previous_users[visit.lead_id.id]
                or visit.user_id.id in (previous_users[visit.lead_id.id], False)
            )
        )._assign_responsibles()

    @api.model
    def _get_planned_lead_domain(self, leads):
        return [
            ("lead_id", "in", leads.ids),
            ("partner_id", "=", False),
            ("state", "=", "planned"),
        ]

    @api.model
    def _merge_leads(self, head, leads):
        """Move the visits of ``leads`` to ``head``: at most one planned per track."""
        visits = self.search([("lead_id", "in", (head | leads).ids)])
        alone = visits.filtered(
            lambda visit: visit.state == "planned" and not visit.partner_id
        )
        account = head.partner_id.commercial_partner_id
        for group in alone.grouped("track").values():
            own = group.filtered(lambda visit: visit.lead_id == head)
            (group - (own or group)[:1])._close(self.env._("Merged into %s", head.name))
        visits.with_context(key_account_visit_sync=INTERNAL).lead_id = head
        visits.filtered(lambda visit: visit.state == "planned")._move_activities()
        if account:
            self._follow_lead_customer(head)

    @api.model
    def _hand_over_partners(self, partners, previous_users):
        """Give the planned visits of ``partners`` to their salespersons.

        A visit that somebody gave to a colleague of the previous salesperson stays
        with that colleague.

        :param dict previous_users: id of the salesperson before, per partner id
        """
        visits = self.search(
            [("partner_id", "in", partners.ids), ("state", "=", "planned")]
        )
        visits.filtered(
            lambda visit: (
                not previous_users[visit.partner_id.id]
                or visit.user_id.id in (previous_users[visit.partner_id.id], False)
            )
        )._assign_responsibles()

    @api.model
    def _hand_over_lost_users(self, users):
        """Give on the planned visits of users who left, or left the company."""
        self.search([("user_id", "in", users.ids), ("state", "=", "planned")]).filtered(
            lambda visit: (
                not visit.user_id.active
                or visit.company_id not in visit.user_id.company_ids
            )
        )._assign_responsibles()

    def _assign_responsibles(self):
        """Give the visits, with their activities, to whoever is responsible now."""
        for company, visits in self.grouped("company_id").items():
            dues = [
                Due(
                    visit.partner_id.id or None,
                    None if visit.partner_id else visit.lead_id.id,
                    None,
                    (visit.partner_id or visit.lead_id).user_id.id or None,
                    0,
                    None,
                    None,
                    track=visit.track,
                    sponsor_id=visit.partner_id.with_company(
                        company
                    ).executive_sponsor_id.id
                    or None,
                )
                for visit in visits
            ]
            responsibles = self._get_responsibles(company, dues)
            by_responsible = defaultdict(self.browse)
            for visit, due in zip(visits, dues, strict=True):
                by_responsible[responsibles[due]] |= visit
            for (user_id, team_id), group in by_responsible.items():
                group.with_context(key_account_visit_sync=INTERNAL).write(
                    {"user_id": user_id, "team_id": team_id}
                )
                group._update_activities({"user_id": user_id})

    @api.model
    def _follow_sponsor(self, partners):
        """Give the planned executive visits of ``partners`` to their sponsors, in this
        company."""
        if partners:
            self.search(
                [
                    ("partner_id", "in", partners.ids),
                    ("company_id", "=", self.env.company.id),
                    ("state", "=", "planned"),
                    ("track", "=", "executive"),
                ]
            )._assign_responsibles()

    @api.model
    def _follow_contacts(self, domain):
        """Choose anew whom to see where a planned visit names a contact who was
        archived, left or went elsewhere; and, unless a person chose the contact, where
        another fits the cell, or nobody did so far.

        :param domain: limits the visits
        """
        visits = self.with_context(active_test=False).search(
            Domain("state", "=", "planned")
            & (
                Domain("target_contact_id", "!=", False)
                | Domain("target_role_id", "!=", False)
                | Domain("target_level", "!=", False)
            )
            & Domain(domain)
        )
        visits = visits.filtered(lambda visit: not visit._is_target_right())
        for company, group in visits.grouped("company_id").items():
            plans = [
                {
                    "partner_id": visit.partner_id.id,
                    "tier_id": visit.tier_id.id,
                    "track": visit.track,
                }
                for visit in group
            ]
            self._choose_targets(company, plans)
            changed = self.browse()
            for visit, plan in zip(group, plans, strict=True):
                target = {
                    "target_contact_id": plan.get("target_contact_id") or False,
                    "target_role_id": plan.get("target_role_id") or False,
                    "target_level": plan.get("target_level") or False,
                }
                before = [
                    visit.target_contact_id.id,
                    visit.target_role_id.id,
                    visit.target_level,
                ]
                if before != list(target.values()):
                    visit.with_context(key_account_visit_sync=INTERNAL).write(target)
                    changed |= visit
            changed._update_activity_summaries()

    def _is_target_right(self):
        """Return whether whoever the planned visit names is there, and in the cell for
        which the contact was chosen."""
        contact = self.target_contact_id
        if not contact:
            return False
        left = contact.left_company_date
        return (
            contact.active
            and contact.commercial_partner_id == self.partner_id
            and contact.company_id in (self.company_id, self.env["res.company"])
            and not (left and left <= fields.Date.context_today(self))
            and (
                not self.target_role_id
                or self.target_role_id in contact.buying_role_ids
            )
            and self.target_level in (contact.decision_level, False)
        )

    # -------------------------------------------------------------------------
    # Generator
    # -------------------------------------------------------------------------

    @api.model
    def _generate(self, partners=None, company=None, today=None):
        """Plan the visits that are due within the horizon. Doesn't commit.

        Running it again, or twice at once, makes nothing twice.

        :param partners: customers to plan for; default: all, and the open leads that
            have no customer yet
        :param company: default: the current company
        :param date today: default: today in each salesperson's time zone
        :return: the visits made
        """
        company = company or self.env.company
        self = self.sudo()
        partner_ids = lead_ids = None
        if partners is not None:
            partner_ids = partners.sudo().commercial_partner_id.ids
            lead_ids = []
        self._close_outdated(company, partner_ids)
        due = self._get_due(company, [key for key, _ in TRACKS], partner_ids, lead_ids)
        return self._create_due(company, due, today=today)

    @api.model
    def _cron_generate(self):
        """Plan for every company, with a commit after each batch."""
        cron = self.env["ir.cron"]
        for company in self.env["res.company"].search(
            [("key_account_planning", "=", True)]
        ):
            visits = self.with_company(company)
            try:
                with self.env.cr.savepoint():
                    visits._close_outdated(company)
                    due = visits._get_due(company, [key for key, _ in TRACKS])
                    plans = visits._get_plans(company, due)
            except Exception:
                # The other companies' visits don't depend on this one.
                _logger.exception("Planning visits of company %s failed", company.id)
                continue
            cron._commit_progress(remaining=len(plans))
            for batch in split_every(BATCH_SIZE, plans):
                visits._create_batch(company, batch)
                if not cron._commit_progress(len(batch)):
                    return

    @api.model
    def _plan_now(self, partners, company):
        """Bring the planned visits of ``partners`` in line with the cadence at once,
        however far away they are: somebody has just decided about the customers."""
        if company.key_account_planning:
            visits = self.sudo()
            visits._close_outdated(company, partners.ids)
            due = visits._get_due(
                company, [key for key, _ in TRACKS], partners.ids, lead_ids=[]
            )
            visits._create_due(company, due, horizon=None)

    @api.model
    def _close_outdated(self, company, partner_ids=None):
        """Close generated visits that the cadence doesn't ask for any more: the
        customer's tier or level changed, or there is no line for it, or the customer is
        lost or came back. What a person moved stays, and so does the visit to win a
        customer back. The generator plans anew where another line asks for a visit."""
        # those who left on a day that was in the future when it was entered
        leaving = Domain("company_id", "=", company.id) & Domain(
            "target_contact_id.left_company_date", "!=", False
        )
        if partner_ids is not None:
            leaving &= Domain("partner_id", "in", partner_ids)
        self._follow_contacts(leaving)
        self.env.flush_all()
        lines = self.env["key.account.cadence"]._get_lines(company)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT visit.id, COALESCE(card.tier_id, lead.account_tier_id),
                       COALESCE(card.relationship_level, lead.relationship_level,
                                'transactional'),
                       loss.id
                  FROM key_account_visit visit
                  LEFT JOIN key_account_loss loss
                         ON loss.partner_id = visit.partner_id
                        AND loss.company_id = visit.company_id
                        AND loss.date_returned IS NULL
                  LEFT JOIN key_account_scorecard card
                         ON card.partner_id = visit.partner_id
                        AND card.company_id = visit.company_id
                  LEFT JOIN crm_lead lead
                         ON lead.id = visit.lead_id AND visit.partner_id IS NULL
                 WHERE visit.company_id = %s
                   AND visit.state = 'planned'
                   -- generated: a cadence line asked for it
                   AND visit.date_due IS NOT NULL
                   AND visit.is_date_fixed IS NOT TRUE
                   AND (visit.loss_id IS DISTINCT FROM loss.id
                        OR loss.id IS NULL
                        AND (visit.tier_id IS DISTINCT FROM
                             COALESCE(card.tier_id, lead.account_tier_id)
                             OR COALESCE(visit.relationship_level, 'transactional') !=
                             COALESCE(card.relationship_level, lead.relationship_level,
                                      'transactional')
                             OR NOT visit.cadence_id = ANY(%s)
                             OR visit.cadence_id IS NULL))
                   AND (%s OR visit.partner_id = ANY(%s))
                """,
                company.id,
                lines.ids,
                partner_ids is None,
                partner_ids or [],
            )
        )
        visits = self.browse(row[0] for row in rows)
        tiers = self.env["key.account.tier"].browse(row[1] for row in rows if row[1])
        names = {tier.id: tier.name for tier in tiers}
        none = self.env._("none")
        levels = dict(
            self._fields["relationship_level"]._description_selection(self.env)
        )
        visits_by_reason = defaultdict(self.browse)
        losses = self.env["key.account.loss"].browse(row[3] for row in rows if row[3])
        reasons = {loss.id: loss._get_visit_reason() for loss in losses}
        for visit, (_, tier_id, level, loss_id) in zip(visits, rows, strict=True):
            line = self._get_line(lines, tier_id, level, visit)
            lost = loss_id or visit.loss_id
            if not lost and line and line == visit.cadence_id:
                continue
            reason = self.env._("The cadence changed")
            old_level = visit.relationship_level or "transactional"
            if lost:
                reason = reasons.get(loss_id, self.env._("The customer came back"))
            elif level != old_level:
                reason = self.env._(
                    "Relationship level changed from %(old)s to %(new)s",
                    old=levels[old_level],
                    new=levels[level],
                )
            elif tier_id != (visit.tier_id.id or None):
                reason = self.env._(
                    "Tier changed from %(old)s to %(new)s",
                    old=visit.tier_id.name or none,
                    new=names.get(tier_id, none),
                )
            visits_by_reason[reason] |= visit
        for reason, outdated in visits_by_reason.items():
            for batch in split_every(BATCH_SIZE, outdated.ids, self.browse):
                batch._close(reason)

    @api.model
    def _get_line(self, lines, tier_id, level, visit):
        """Return the line that asks for a planned visit, as :meth:`_get_due` does."""
        account = visit.partner_id.with_company(visit.company_id)
        own_interval = account.visit_interval_days if visit.track == "visit" else 0
        return lines._match(tier_id, visit.track, own_interval, level)

    @api.model
    def _get_due(self, company, tracks, partner_ids=None, lead_ids=None):
        """Return a list of (cadence line, :class:`Due`) of the accounts, and the leads
        without one, that have no planned visit on the track of the line.

        One query per track for accounts and one for leads.
        """
        lines = self.env["key.account.cadence"]._get_lines(company)
        result = []
        self.env.flush_all()
        for track in tracks:
            if track not in lines.mapped("track"):
                continue
            line_by_key = {}
            queries = []
            if partner_ids is None or partner_ids:
                queries.append(self._get_due_accounts_sql(company, track, partner_ids))
            if lead_ids is None or lead_ids:
                queries.append(self._get_due_leads_sql(company, track, lead_ids))
            for query in queries:
                for row in self.env.execute_query(query):
                    due = Due(*row)
                    # who is to be won back needs no line for the tier either
                    any_line = bool(due.own_interval or due.loss_id)
                    key = (due.tier_id, any_line, due.level)
                    if key not in line_by_key:
                        line_by_key[key] = lines._match(
                            due.tier_id, track, any_line, due.level
                        )
                    if line := line_by_key[key]:
                        result.append((line, due))
        return result

    def _get_history_sql(self, company, track, column):
        """Return a query for the last done visit and the day to come back per account
        (or lead). The day to come back counts when it was given after that visit, and
        not for a visit to win the account back: it may have returned since."""
        return SQL(
            """
            SELECT *,
                   CASE WHEN last_done IS NULL OR last_cancelled >= last_done
                        THEN last_resume END AS resume
              FROM (
                    SELECT %(column)s,
                           MAX(date_done) FILTER (WHERE state = 'done') AS last_done,
                           MAX(date_cancelled)
                               FILTER (WHERE date_resume IS NOT NULL
                                       AND loss_id IS NULL) AS last_cancelled,
                           (ARRAY_AGG(date_resume ORDER BY date_cancelled DESC, id DESC)
                               FILTER (WHERE date_resume IS NOT NULL
                                       AND loss_id IS NULL))[1]
                               AS last_resume
                      FROM key_account_visit
                     WHERE company_id = %(company)s
                       AND track = %(track)s
                       AND state IN ('done', 'cancelled')
                       AND %(column)s IS NOT NULL
                     GROUP BY 1
                   ) AS closed
            """,
            column=SQL.identifier(column),
            company=company.id,
            track=track,
        )

    def _get_due_accounts_sql(self, company, track, partner_ids):
        own_interval = SQL("0")
        if track == "visit":
            own_interval = SQL(
                "COALESCE((partner.visit_interval_days ->> %s)::int, 0)",
                str(company.id),
            )
        return SQL(
            """
            SELECT card.partner_id, NULL::int, card.tier_id, partner.user_id,
                   %(own_interval)s, history.last_done,
                   -- GREATEST skips what is empty
                   CASE WHEN loss.id IS NULL THEN history.resume
                        ELSE GREATEST(loss.date_win_back, loss.resume) END,
                   %(track)s, COALESCE(card.relationship_level, 'transactional'),
                   (partner.executive_sponsor_id ->> %(company)s::text)::int,
                   loss.id
              FROM key_account_scorecard card
              JOIN res_partner partner
                ON partner.id = card.partner_id
               AND partner.commercial_partner_id = partner.id
               AND partner.active
               AND (partner.company_id IS NULL OR partner.company_id = %(company)s)
              LEFT JOIN (%(history)s) AS history
                ON history.partner_id = card.partner_id
              LEFT JOIN (%(losses)s) AS loss ON loss.partner_id = card.partner_id
             WHERE card.company_id = %(company)s
               AND (card.is_account OR card.tier_id IS NOT NULL OR %(own_interval)s > 0
                    OR card.relationship_level != 'transactional'
                    OR loss.id IS NOT NULL)
               -- nobody visits a lost account, but to win it back
               AND (loss.id IS NULL
                    OR %(track)s = 'visit'
                       AND loss.date_win_back IS NOT NULL
                       AND loss.is_done IS NOT TRUE)
               AND (%(everybody)s OR card.partner_id = ANY(%(partner_ids)s))
               AND NOT EXISTS (
                   SELECT FROM key_account_visit planned
                    WHERE planned.partner_id = card.partner_id
                      AND planned.company_id = %(company)s
                      AND planned.track = %(track)s
                      AND planned.state = 'planned')
             ORDER BY card.partner_id
            """,
            own_interval=own_interval,
            history=self._get_history_sql(company, track, "partner_id"),
            losses=self._get_losses_sql(company),
            company=company.id,
            everybody=partner_ids is None,
            partner_ids=list(partner_ids or []),
            track=track,
        )

    def _get_losses_sql(self, company):
        """Return a query for the lost accounts, and what came of winning them back:
        whether the visit took place, also a few days before the day that was asked
        for, and the day to come back if it was cancelled."""
        return SQL(
            """
            SELECT loss.id, loss.partner_id, loss.date_win_back,
                   win_back.is_done, win_back.resume
              FROM key_account_loss loss
              LEFT JOIN LATERAL (
                    SELECT BOOL_OR(state = 'done'
                                   AND (loss_id = loss.id
                                        OR date_done >= loss.date_win_back)) AS is_done,
                           (ARRAY_AGG(date_resume ORDER BY date_cancelled DESC, id DESC)
                               FILTER (WHERE state = 'cancelled'
                                       AND date_resume IS NOT NULL
                                       AND loss_id = loss.id))[1]
                               AS resume
                      FROM key_account_visit
                     WHERE partner_id = loss.partner_id
                       AND company_id = loss.company_id
                       AND track = 'visit'
                   ) AS win_back ON TRUE
             WHERE loss.company_id = %s
               AND loss.date_returned IS NULL
            """,
            company.id,
        )

    def _get_due_leads_sql(self, company, track, lead_ids):
        return SQL(
            """
            SELECT NULL::int, lead.id, lead.account_tier_id, lead.user_id,
                   0, history.last_done, history.resume, %(track)s,
                   COALESCE(lead.relationship_level, 'transactional'), NULL
              FROM crm_lead lead
              LEFT JOIN crm_team team ON team.id = lead.team_id
              LEFT JOIN res_users owner ON owner.id = lead.user_id
              LEFT JOIN (%(history)s) AS history ON history.lead_id = lead.id
             WHERE lead.active
               AND lead.partner_id IS NULL
               AND lead.won_status = 'pending'
               AND lead.account_tier_id IS NOT NULL
               AND %(lead_company)s = %(company)s
               AND (%(everybody)s OR lead.id = ANY(%(lead_ids)s))
               AND NOT EXISTS (
                   SELECT FROM key_account_visit planned
                    WHERE planned.lead_id = lead.id
                      AND planned.partner_id IS NULL
                      AND planned.track = %(track)s
                      AND planned.state = 'planned')
             ORDER BY lead.id
            """,
            history=self._get_history_sql(company, track, "lead_id"),
            lead_company=self.env["key.account.policy"]._get_lead_company_sql(),
            company=company.id,
            everybody=lead_ids is None,
            lead_ids=list(lead_ids or []),
            track=track,
        )

    @api.model
    def _get_plans(self, company, due, today=None, horizon=True):
        """Return the values of the visits to plan.

        :param due: what :meth:`_get_due` returned
        :param horizon: when False, plan whatever is due, however far away
        """
        responsibles = self._get_responsibles(company, [item for _, item in due])
        users = self.env["res.users"].browse(
            {user_id for user_id, _ in responsibles.values() if user_id}
        )
        no_user = self.env["res.users"]
        today_by_user = {
            user.id: today or self._get_user_today(user, company)
            for user in [*users, no_user]
        }
        selected = []
        for line, item in due:
            user_id, team_id = responsibles[item]
            user_today = today_by_user[user_id]
            count, unit = line.interval_count, line.interval_unit
            if item.own_interval:
                count, unit = item.own_interval, "day"
            days = engine.interval_days(count, unit)
            date_due = engine.next_due(
                item.last_done, count, unit, item.resume
            ) or engine.first_due(item.partner_id or item.lead_id, days, user_today)
            last_day = user_today + timedelta(days=company.key_account_horizon_days)
            if not horizon or date_due <= last_day:
                selected.append((date_due, days, user_today, line, item))
        if not selected:
            return []
        working_days = self._get_working_days(
            users,
            company,
            min(user_today for _, _, user_today, _, _ in selected),
            max(max(row[0], row[2]) for row in selected)
            + timedelta(days=engine.MAX_SEARCH_DAYS),
        )
        plans = []
        for date_due, days, user_today, line, item in selected:
            user_id, team_id = responsibles[item]
            day = engine.choose_day(date_due, days, user_today, working_days[user_id])
            if not day:
                # Away for the whole search: the account stays due, and a run after
                # the leave plans it.
                continue
            plans.append(
                {
                    "partner_id": item.partner_id,
                    "lead_id": item.lead_id,
                    "company_id": company.id,
                    "user_id": user_id or False,
                    "team_id": team_id or False,
                    "tier_id": item.tier_id,
                    "relationship_level": item.level,
                    "cadence_id": line.id,
                    "loss_id": item.loss_id,
                    "track": line.track,
                    "state": "planned",
                    "date_due": date_due,
                    "date_planned": day,
                    "date_latest": date_due
                    + timedelta(days=engine.tolerance_days(days)),
                    "summary": (item, line),
                }
            )
        self._write_summaries(plans)
        self._choose_targets(company, plans)
        return plans

    @api.model
    def _choose_targets(self, company, plans):
        """Name in ``plans`` whom to see: the required cell of the tier that was seen
        longest ago, and its contact. A fixed number of queries."""
        tiers = self.env["key.account.tier"].sudo()
        cells_by_tier = {
            tier.id: [
                (cell.role_id.id or None, cell.decision_level or None)
                for cell in tier.cell_ids
            ]
            for tier in tiers.browse(
                {plan["tier_id"] for plan in plans} - {None, False}
            )
        }
        partner_ids = {
            plan["partner_id"]
            for plan in plans
            if plan["partner_id"] and cells_by_tier.get(plan["tier_id"])
        }
        if not partner_ids:
            return
        contacts = self._get_target_contacts(company, partner_ids)
        for plan in plans:
            target = plan["partner_id"] and buying_center.choose_target(
                cells_by_tier.get(plan["tier_id"], []),
                contacts[plan["partner_id"]],
                executive=plan["track"] == "executive",
            )
            if target:
                (role_id, level), contact = target
                plan["target_role_id"] = role_id
                plan["target_level"] = level
                plan["target_contact_id"] = contact and contact.id

    @api.model
    def _get_target_contacts(self, company, partner_ids):
        """Return {account id: contacts that can be met}."""
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                WITH todays (company_id, today) AS (VALUES (%(company)s, %(today)s))
                SELECT contact.commercial_partner_id, contact.id,
                       ARRAY(SELECT role_id FROM key_account_buying_role_partner_rel
                              WHERE partner_id = contact.id),
                       contact.decision_level,
                       (SELECT MAX(visit.date_done)
                          FROM key_account_visit_contact_rel rel
                          JOIN key_account_visit visit ON visit.id = rel.visit_id
                         WHERE rel.contact_id = contact.id
                           AND visit.state = 'done'
                           AND visit.company_id = todays.company_id)
                  FROM res_partner contact
                  JOIN todays ON TRUE
                 WHERE contact.commercial_partner_id = ANY(%(partners)s)
                   AND (contact.decision_level IS NOT NULL OR EXISTS (
                        SELECT FROM key_account_buying_role_partner_rel rel
                         WHERE rel.partner_id = contact.id))
                   AND %(present)s
                """,
                company=company.id,
                today=self._get_user_today(self.env["res.users"], company),
                partners=list(partner_ids),
                present=self.env[
                    "key.account.relationship.criterion"
                ]._get_present_sql(),
            )
        )
        contacts = defaultdict(list)
        for account_id, contact_id, roles, level, last_met in rows:
            contacts[account_id].append(
                buying_center.Contact(contact_id, frozenset(roles), level, last_met)
            )
        return contacts

    def _write_summaries(self, plans):
        """Put the reasons in words, in the language of each salesperson."""
        texts = {}
        # all at once, as the reasons below need them
        self.env["key.account.loss"].browse(
            {plan["loss_id"] for plan in plans if plan["loss_id"]}
        ).mapped("reason_id.name")
        for plan in plans:
            item, line = plan["summary"]
            user = self.env["res.users"].browse(plan["user_id"] or [])
            lang = user.lang or self.env.lang
            key = (
                lang,
                line,
                item.tier_id,
                item.own_interval,
                item.last_done,
                item.loss_id,
            )
            if key not in texts:
                texts[key] = self.with_context(lang=lang)._get_summary(line, item)
            plan["summary"] = texts[key]

    def _get_summary(self, line, item):
        """Return why a visit is planned, such as "Key account, weekly; last visit
        12 Nov"."""
        if item.loss_id:
            # sudo: whoever may plan the visit may say why
            loss = self.env["key.account.loss"].sudo().browse(item.loss_id)
            return self.env._(
                "Win back; lost %(date)s (%(reason)s)",
                date=format_date(self.env, loss.date, date_format="d MMM"),
                reason=loss.reason_id.name,
            )
        tier = self.env["key.account.tier"].browse(item.tier_id or [])
        interval = line.with_env(self.env)._get_interval_text(item.own_interval)
        if line.track == "executive":
            interval = self.env._("executive visit %s", interval)
        start = f"{tier.name}, {interval}" if tier else interval
        call = line.track == "contact"
        if not item.last_done:
            if call:
                return self.env._("%(start)s; no call yet", start=start)
            return self.env._("%(start)s; not visited yet", start=start)
        day = format_date(self.env, item.last_done, date_format="d MMM")
        if call:
            return self.env._("%(start)s; last call %(date)s", start=start, date=day)
        return self.env._("%(start)s; last visit %(date)s", start=start, date=day)

    @api.model
    def _create_due(self, company, due, today=None, horizon=True):
        """Plan what is due; see :meth:`_get_plans`."""
        visits = self.browse()
        plans = self._get_plans(company, due, today, horizon)
        for batch in split_every(BATCH_SIZE, plans):
            visits |= self._create_batch(company, batch)
        return visits

    def _plan_activities(self, plans):
        """Create the activities of ``plans``; return values of the visits with them.

        Before the visits, so that neither needs an UPDATE; what core would compute
        and write afterwards is given along.
        """
        lines = self.env["key.account.cadence"].sudo()
        types = {
            key: lines.browse(key[0])._get_activity_type(key[1]).id
            for key in {(plan["cadence_id"], plan["track"]) for plan in plans}
        }
        Users = self.env["res.users"].sudo()
        names = {}
        for model, column in (("res.partner", "partner_id"), ("crm.lead", "lead_id")):
            records = (
                self.env[model]
                .sudo()
                .browse({plan[column] for plan in plans if plan[column]})
            )
            names[column] = {record.id: record.display_name for record in records}
        model_ids = {
            "partner_id": self.env["ir.model"]._get_id("res.partner"),
            "lead_id": self.env["ir.model"]._get_id("crm.lead"),
        }
        vals_list = []
        summaries = self._get_planned_summaries(plans)
        for plan_number, plan in enumerate(plans):
            column = "partner_id" if plan["partner_id"] else "lead_id"
            vals_list.append(
                {
                    "res_model_id": model_ids[column],
                    "res_id": plan[column],
                    "res_name": names[column][plan[column]],
                    "activity_type_id": types[plan["cadence_id"], plan["track"]],
                    "summary": summaries[plan_number],
                    "note": False,
                    "date_deadline": plan["date_planned"],
                    "user_id": plan["user_id"],
                    "user_tz": Users.browse(plan["user_id"] or []).tz,
                    "automated": True,
                    "is_key_account_visit": True,
                }
            )
        activities = (
            self.env["mail.activity"]
            .sudo()
            .with_context(mail_activity_quick_update=True)
            .create(vals_list)
        )
        partners = self.env["res.partner"].sudo()
        return [
            {
                **plan,
                "activity_id": activity.id,
                "mode": TRACK_MODES[plan["track"]],
                "account_user_id": partners.browse(plan["partner_id"] or []).user_id.id,
            }
            for plan, activity in zip(plans, activities, strict=True)
        ]

    def _get_planned_summaries(self, plans):
        """Return the activities' summaries: the reason and whom to see."""
        contacts = self.env["res.partner"].sudo()
        # all names by one query
        contacts.browse(
            {
                plan["target_contact_id"]
                for plan in plans
                if plan.get("target_contact_id")
            }
        ).mapped("name")
        summaries = []
        for plan in plans:
            user = self.env["res.users"].browse(plan["user_id"] or [])
            visits = self.with_context(lang=user.lang or self.env.lang)
            target = visits._get_target_text(
                contacts.browse(plan.get("target_contact_id") or []),
                visits.env["key.account.buying.role"].browse(
                    plan.get("target_role_id") or []
                ),
                plan.get("target_level"),
            )
            summaries.append(
                "; ".join(text for text in (plan["summary"], target) if text)
            )
        return summaries

    def _create_batch(self, company, plans):
        """Create visits. Those that another transaction has planned in the meantime
        are left out: the unique indexes tell."""
        visits = self.sudo().with_company(company)
        try:
            # The conflict is expected: no error in the server's log.
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                return visits.create(visits._plan_activities(plans))
        except (
            psycopg2.errors.UniqueViolation,
            psycopg2.errors.SerializationFailure,
            ValidationError,
        ) as error:
            if len(plans) == 1:
                # Planned by somebody else, or archived, since we looked.
                _logger.info("A visit was left out: %s", error)
                return visits.browse()
        made = visits.browse()
        for plan in plans:
            made |= self._create_batch(company, [plan])
        return made

    @api.model
    def _get_responsibles(self, company, due):
        """Return {due: (user id or False, team id or False)}.

        The salesperson, on the executive track the executive sponsor; if there is none,
        or one who left, the leader of the team: of the salesperson's own, else of the
        team of the account's latest lead or order. If there is no leader either,
        nobody: the visit goes to the unassigned list.
        """
        users = self.env["res.users"].browse(
            ({item.user_id for item in due} | {item.sponsor_id for item in due})
            - {None}
        )
        users = users.with_context(active_test=False)
        present = users.filtered(
            lambda user: user.active and not user.share and company in user.company_ids
        )
        team_by_user = self._get_user_teams(company, users)
        present_ids = set(present.ids)
        result = {}
        orphans = []
        for item in due:
            team = team_by_user.get(item.user_id)
            user_id = item.sponsor_id if item.track == "executive" else item.user_id
            if user_id in present_ids:
                result[item] = (user_id, team.id if team else False)
            else:
                orphans.append(item)
        team_by_account = self._get_account_teams(company, orphans)
        for item in orphans:
            team = team_by_user.get(item.user_id)
            team = team or team_by_account.get((item.partner_id, item.lead_id))
            leader = team.user_id if team else users.browse()
            if not leader.active or company not in leader.company_ids:
                leader = users.browse()
            result[item] = (leader.id, team.id if team else False)
        return result

    def _get_user_teams(self, company, users):
        """Return {user id: team}, for those who left also their former team."""
        members = (
            self.env["crm.team.member"]
            .sudo()
            .with_context(active_test=False)
            .search(
                [
                    ("user_id", "in", users.ids),
                    ("crm_team_id.company_id", "in", [company.id, False]),
                ],
                order="active, id desc",
            )
        )
        return {member.user_id.id: member.crm_team_id for member in members}

    def _get_account_teams(self, company, due):
        """Return {(partner id, lead id): team} by the latest lead or order."""
        if not due:
            return {}
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT ON (1, 2) partner_id, lead_id, team_id
                  FROM (
                        SELECT partner.commercial_partner_id AS partner_id,
                               NULL::int AS lead_id, document.team_id, document.day
                          FROM (
                                SELECT partner_id, team_id, create_date AS day
                                  FROM crm_lead
                                 WHERE COALESCE(company_id, %(company)s) = %(company)s
                                 UNION ALL
                                SELECT partner_id, team_id, date_order
                                  FROM sale_order WHERE company_id = %(company)s
                               ) AS document
                          JOIN res_partner partner ON partner.id = document.partner_id
                         WHERE partner.commercial_partner_id = ANY(%(partner_ids)s)
                         UNION ALL
                        SELECT NULL, id, team_id, create_date
                          FROM crm_lead
                         WHERE id = ANY(%(lead_ids)s)
                       ) AS teams
                 WHERE team_id IS NOT NULL
                 ORDER BY 1, 2, day DESC
                """,
                company=company.id,
                partner_ids=[item.partner_id for item in due if item.partner_id],
                lead_ids=[item.lead_id for item in due if item.lead_id],
            )
        )
        teams = self.env["crm.team"].sudo()
        return {
            (partner_id, lead_id): teams.browse(team_id)
            for partner_id, lead_id, team_id in rows
        }

    @api.model
    def _get_working_days(self, users, company, start, end):
        """Return {user id: set of dates} of the days from ``start`` to ``end`` on which
        the users work, in their own time zones: leaves and public holidays are out.

        ``False`` stands for nobody: the company's calendar. A few queries per calendar
        and time zone, not per user.
        """
        groups = defaultdict(lambda: self.env["resource.resource"].sudo())
        user_resources = {}
        for user in users.sudo():
            resources = user.resource_ids.filtered(
                lambda resource: resource.company_id == company
            )
            resource = (resources or user.resource_ids)[:1]
            calendar = resource.calendar_id or company.sudo().resource_calendar_id
            key = (calendar, self._get_user_tz(user, company))
            groups[key] |= resource
            user_resources[user.id] = (key, resource.id or False)
        nobody = self.env["res.users"]
        key = (
            company.sudo().resource_calendar_id,
            self._get_user_tz(nobody, company),
        )
        groups[key] |= self.env["resource.resource"].sudo()
        user_resources[False] = (key, False)
        days = {}
        for (calendar, tz), resources in groups.items():
            intervals = calendar._work_intervals_batch(
                tz.localize(datetime.combine(start, datetime.min.time())),
                tz.localize(datetime.combine(end, datetime.max.time())),
                resources=resources,
                # Core leaves out other companies' holidays for resources only.
                domain=[
                    ("time_type", "=", "leave"),
                    ("company_id", "in", [company.id, False]),
                ],
                tz=tz,
            )
            days[calendar, tz] = {
                resource_id: {begin.astimezone(tz).date() for begin, _, _ in slots}
                for resource_id, slots in intervals.items()
            }
        return {
            user_id: days[key].get(resource_id, set())
            for user_id, (key, resource_id) in user_resources.items()
        }

    # -------------------------------------------------------------------------
    # Digest
    # -------------------------------------------------------------------------

    @api.model
    def _cron_digest(self):
        """Send each rep one mail a day, in the morning of the rep's time zone, about
        today's and overdue visits. Only to users, never to customers."""
        companies = self.env["res.company"].search([("key_account_digest", "=", True)])
        candidates = self._read_group(
            [
                ("state", "=", "planned"),
                ("company_id", "in", companies.ids),
                ("user_id", "!=", False),
                ("date_planned", "<=", fields.Date.today() + timedelta(days=1)),
            ],
            ["user_id"],
        )
        users = self.env["res.users"].union(*(user for (user,) in candidates))
        template = self.env.ref("crm_key_account.mail_template_visit_digest")
        cron = self.env["ir.cron"]
        cron._commit_progress(remaining=len(users))
        for user in users:
            try:
                with self.env.cr.savepoint():
                    if user._is_visit_digest_due():
                        user._send_visit_digest(template, companies)
            except Exception:
                _logger.exception("The visit digest of user %s failed", user.id)
            if not cron._commit_progress(1):
                return
