from datetime import timedelta

import psycopg2.errors

from odoo import api, models
from odoo.exceptions import ConcurrencyError, UserError
from odoo.fields import Command, Domain
from odoo.tools import mute_logger

from ...const import CALL_MODES
from ..account import bounds, clock, words
from ..planning.key_account_cadence import TRACK_MODES
from .key_account_visit import REPORT_FIELDS

# Set by *Log Visit*: how the customer was met says what was done, not which visit the
# dialog opened with
LOGGED = "key_account_is_logged"
# As many customers as a phone shows beside the other questions
LOG_CUSTOMERS = 8
# What isn't given on to a visit that is reported instead of the planned one
PLANNED_FIELDS = {"mode", "objective"}


class KeyAccountVisit(models.Model):
    """*Log Visit*: what took place without a plan, or otherwise than planned."""

    _inherit = "key.account.visit"

    # -------------------------------------------------------------------------
    # Actions
    # -------------------------------------------------------------------------

    def action_log(self):
        """Open the report of a visit that wasn't planned; its customer is chosen
        there."""
        return self._get_log_action()

    @api.readonly
    @api.model
    def get_log_customers(self):
        """Return the user's own customers whose next visit comes first: one of them is
        likely to be the one of a visit that nobody had planned.

        :return: ``[{"id", "name", "city"}]``
        :raise AccessError: outside sales
        """
        self.check_access("create")
        accounts = self.env["key.account"].search(
            Domain("company_id", "=", self.env.company._get_key_account_home().id)
            & Domain("user_id", "=", self.env.uid)
            & Domain("is_lost", "=", False)
            & Domain("partner_id.active", "=", True),
            order="next_visit_date, id",
            limit=LOG_CUSTOMERS,
        )
        return [
            {
                "id": partner.id,
                "name": partner.display_name,
                "city": partner.city or "",
            }
            for partner in accounts.partner_id
        ]

    @api.model
    def _get_log_action(self, partner=None, lead=None):
        """Open the report of a visit that just took place.

        A planned visit of the user's that is due today, overdue or as early as the
        cadence allows is the one to report: it would otherwise remain. If there is
        none, it is the call that is due.
        """
        self.check_access("create")
        account = (partner or self.env["res.partner"]).commercial_partner_id
        if account and not account.active:
            raise UserError(
                self.env._(
                    "%s is archived: restore the customer before you log a visit.",
                    account.display_name,
                )
            )
        if account or lead:
            due = self._find_due(account, lead, self.env.company)
            track = self._get_logged_track(due, "on_site")
            # else the call
            if visit := due.filtered(lambda visit: visit.track == track) or due[:1]:
                return {**visit.action_open_report(), "context": {LOGGED: True}}
        return self._get_new_log_action(account, lead)

    @api.model
    def _get_new_log_action(self, account, lead=None):
        """Open the report of a visit that becomes one with what was planned when it is
        saved."""
        return self._get_report_action(
            {
                "name": self.env._("Log Visit"),
                "context": {
                    "default_partner_id": account.id,
                    "default_lead_id": lead.id if lead else False,
                    "default_state": "done",
                    "default_track": "visit",
                },
            }
        )

    @api.onchange("mode", "partner_id")
    def _onchange_logged(self):
        """Show the objective of the planned visit that the logged one turns out to
        be."""
        account = self.partner_id.commercial_partner_id
        if self._origin or self.state != "done" or not account:
            return
        due = self._find_due(account, self.lead_id, self.company_id)
        track = self._get_logged_track(due, self.mode)
        self.objective = due.filtered(lambda visit: visit.track == track).objective

    # -------------------------------------------------------------------------
    # Which visit it is
    # -------------------------------------------------------------------------

    @api.model
    def _find_due(self, account, lead, company):
        """Return the user's planned visits and call to a customer, or a lead without
        one, that are due today, overdue or as early as the cadence allows. Those that
        nobody is responsible for may be the user's, unless they are executive visits.
        """
        domain = Domain("partner_id", "=", account.id)
        if not account:
            domain &= Domain("lead_id", "=", lead.id)
        # none on a form on which it was emptied
        home = company and company._get_key_account_home()
        planned = self.search(
            domain
            & Domain("company_id", "=", home.id)
            & Domain("state", "=", "planned")
            & (
                Domain("user_id", "=", self.env.uid)
                | Domain("user_id", "=", False) & Domain("track", "!=", "executive")
            )
        )
        today = clock.get_today(company, self.env.user)
        return planned.filtered(lambda visit: visit._get_earliest_day() <= today)

    def _get_earliest_day(self):
        """Return the first day on which the planned visit counts as made: as early as
        the cadence allows."""
        tolerance = timedelta(0)
        if self.date_due and self.date_latest:
            tolerance = max(tolerance, self.date_latest - self.date_due)
        return self.date_planned - tolerance

    @api.model
    def _get_track(self, mode, track="visit"):
        """Return the track of a visit that nobody had planned: a call is a call.

        :param track: the one that was named; an executive's stays where nobody called
        """
        if mode in CALL_MODES:
            return "contact"
        return "visit" if track == "contact" else track

    @api.model
    def _get_logged_track(self, due, mode, track="visit"):
        """Return the track of a logged visit: what was done is the executive visit of
        an executive who has no other to make there.

        :param due: see :meth:`_find_due`
        :param track: the one that was named
        """
        track = self._get_track(mode, track)
        own = due.filtered("user_id").mapped("track")
        if track == "visit" and "executive" in own and "visit" not in own:
            return "executive"
        return track

    def _is_logged_otherwise(self, values):
        """Return whether the customer was called where the dialog of *Log Visit* opened
        with a visit that is due, or the other way round."""
        if not self.env.context.get(LOGGED) or len(self) != 1:
            return False
        # how it was may be noted already, by a dialog that was left
        mode = values.get("mode") or self.mode
        return self.state == "planned" and not self._is_made_as_planned(mode)

    def _is_made_as_planned(self, mode):
        """Return whether a call is made by phone or mail, and a visit otherwise; how
        they make what the cadence didn't ask for, people say themselves."""
        is_call = mode in CALL_MODES
        if is_call == (self.track == "contact"):
            return True
        return not self.cadence_id and is_call == (self.mode in CALL_MODES)

    # -------------------------------------------------------------------------
    # The visit
    # -------------------------------------------------------------------------

    @api.model
    def _find_reported(self, key):
        """Return the visit that the same report has made before, if it came before."""
        # sudo: it may be a colleague's by now
        known = self.sudo().search([("report_key", "=", key)]) if key else self.browse()
        return known.with_env(self.env)

    def _log_report(self, values, key):
        """Return the visit with what the report says, made unless the same report came
        before."""
        if known := self._find_reported(key):
            return known
        values = {"state": "done", **values}
        if mode := values.get("mode"):
            partner, lead, company = (
                bounds.to_record(self.env[model], values.get(name)).exists()
                for model, name in (
                    ("res.partner", "partner_id"),
                    ("crm.lead", "lead_id"),
                    ("res.company", "company_id"),
                )
            )
            account = (partner or lead.partner_id).commercial_partner_id
            due = self._find_due(account, lead, company or self.env.company)
            values["track"] = self._get_logged_track(
                due, mode, values.get("track", "visit")
            )
        try:
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                # which may meet the other one where somebody comes to follow
                visit = self.create(values)
                visit.sudo().report_key = key
        except psycopg2.errors.UniqueViolation as error:
            # The same report comes at this moment: once more, when it is there.
            raise ConcurrencyError(str(error)) from error
        return visit

    def _log_apart(self, values, key):
        """Log what was done instead of the planned visit, which stays as it was. All
        that was noted so far is about what took place.

        :return: the logged visit
        """
        self.check_access("write")
        self._check_reportable()
        if known := self._find_reported(key):
            return known
        mode, files = self.mode, self.attachment_ids
        if not self._is_made_as_planned(mode):
            mode = TRACK_MODES[self.track]
        self.write(values)
        said = {
            name: self._fields[name].convert_to_write(self[name], self)
            for name in sorted(REPORT_FIELDS - PLANNED_FIELDS)
            if self[name]
        }
        visit = self._log_report(
            {
                **said,
                "company_id": self.company_id.id,
                "date_visited": self.date_visited,
                "lead_id": self.lead_id.id,
                "mode": self.mode,
                "partner_id": self.partner_id.id,
            },
            key,
        )
        # sudo: what was written above as the user
        planned = self.sudo()
        visit.sudo().next_step_id = planned.next_step_id
        planned.commitment_ids.visit_id = visit.sudo()
        visit.sudo().commitment_ids._create_activities()
        (self.attachment_ids - files).sudo().res_id = visit.id
        (self | visit).invalidate_recordset(["attachment_ids"])
        planned.write(
            {
                **dict.fromkeys(REPORT_FIELDS - PLANNED_FIELDS, False),
                "contact_ids": [Command.clear()],
                "date_done": False,
                "mode": mode,
                "next_step_id": False,
            }
        )
        return visit

    def _get_left_text(self, visit, message):
        """Return the message about a logged visit, and that the one with which the
        dialog opened is still planned, if that is another one.

        :param visit: the one that was reported
        """
        opened = self.sudo()
        if not opened or opened == visit:
            return message
        day = clock.format_day(self.env, opened.date_planned, weekday=True)
        if opened.track == "contact":
            left = self.env._("The call on %s stays planned.", day)
        else:
            left = self.env._("The visit on %s stays planned.", day)
        return words.join_said(self.env, (message, left))
