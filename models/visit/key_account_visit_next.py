from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain

from ...engine import cadence as engine
from ..account import clock, words
from ..account.key_account_mixin import get_account_key
from .key_account_visit_log import LOGGED


class KeyAccountVisit(models.Model):
    """When the next visit is, as the report's dialog says it."""

    _inherit = "key.account.visit"

    next_date_hint = fields.Char(compute="_compute_next_date_hint")

    @api.depends(
        "company_id", "date_visited", "lead_id", "mode", "partner_id", "state", "track"
    )
    @api.depends_context("lang", "uid")
    def _compute_next_date_hint(self):
        days = self._get_cadence_days()
        for visit in self:
            day = days.get(visit)
            visit.next_date_hint = day and self.env._(
                "By the cadence: %s",
                clock.format_day(self.env, day, weekday=True),
            )

    def _get_cadence_days(self):
        """Return {visit: the day of the next one} by the cadence, where it asks for one
        and the user may know it: what is planned already, else the working day nearest
        to one interval later on which they receive. A full day may move it."""
        done = self.filtered(lambda visit: visit.state == "done" and visit._origin)
        planned = (
            self.env["key.account.settlement"]._get_planned(done._origin)
            if done
            else {}
        )
        days = {
            visit: planned[visit._origin.id].date_planned
            for visit in done
            if visit._origin.id in planned
        }
        for company, visits in (self - done).grouped("company_id").items():
            if company.sudo().key_account_planning:
                days.update(visits._reckon_next_days(company))
        return days

    def _reckon_next_days(self, company):
        rows = self._get_due_rows(company)
        asked = {}
        for visit in rows:
            row = rows[visit]
            own = row.partner_id.with_company(company).visit_interval_days
            interval = row.cadence_id._get_interval(own if row.track == "visit" else 0)
            asked[visit] = engine.add_interval(visit.date_visited, *interval)
        if not asked:
            return {}
        # sudo: when the visit's salesperson works, as planning asks it
        working_days = (
            self.env["key.account.agenda"]
            .sudo()
            ._get_working_days(
                self.user_id,
                company,
                min(visit._get_today() for visit in asked),
                max(asked.values()) + timedelta(days=engine.MAX_SEARCH_DAYS),
            )
        )
        return {
            visit: engine.choose_day(
                day,
                rows[visit].days,
                visit._get_today(),
                set(
                    filter(
                        rows[visit]._get_receiving().receives,
                        working_days.get(visit.user_id.id, ()),
                    )
                ),
            )
            for visit, day in asked.items()
        }

    def _get_due_rows(self, company):
        """Return {visit: what is due on its track} of visits with a day, as far as the
        user may read it."""
        partners = self.partner_id.commercial_partner_id
        dues = self.env["key.account.due"].search(
            Domain("company_id", "=", company.id)
            & (
                Domain("partner_id", "in", partners.ids)
                | Domain("partner_id", "=", False)
                & Domain("lead_id", "in", self.lead_id.ids)
            )
        )
        rows = {row._get_account_key(): row for row in dues}
        found = {}
        for visit in self.filtered("date_visited"):
            is_logged = not visit._origin or self.env.context.get(LOGGED)
            track = visit.track
            if is_logged:
                account = visit.partner_id.commercial_partner_id
                due = self._find_due(account, visit.lead_id, company)
                track = self._get_logged_track(due, visit.mode, track)
            key = get_account_key(
                visit.partner_id.commercial_partner_id.id,
                visit.lead_id.id,
                company.id,
                track,
            )
            if key in rows:
                found[visit] = rows[key]
        return found

    def _get_next_notification(self, message, warning=None):
        """Tell the rep when the next visit is; the dialog closes.

        :param str message: what was done
        :param str warning: what wasn't
        """
        follower = self.env["key.account.settlement"]._get_planned(self).get(self.id)
        is_call = self.track == "contact"
        params = {
            "type": "warning" if warning else "success",
            "next": {"type": "ir.actions.act_window_close"},
        }
        if follower and not follower._filter_within_reach():
            following = self.env._(
                "The next visit is planned by %s.", follower.user_id.name
            )
        elif follower:
            following = (
                self.env._("Next call: %s") if is_call else self.env._("Next visit: %s")
            )
            params["links"] = [
                {
                    "label": clock.format_day(
                        self.env, follower.date_planned, weekday=True
                    ),
                    "url": f"/odoo/customer-visits/{follower.id}",
                }
            ]
        elif is_call:
            following = self.env._("No next call is planned.")
        else:
            following = self.env._("No next visit is planned.")
        said = (message, warning, following)
        params["message"] = words.join_said(self.env, said)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": params,
        }
