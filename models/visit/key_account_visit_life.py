from odoo import api, models
from odoo.exceptions import UserError, ValidationError

from ...engine import cadence as engine
from ..account import bounds
from ..account.key_account_shown import open_dialog


class KeyAccountVisit(models.Model):
    """The life of a visit: done, cancelled, planned again, and what each brings
    along."""

    _inherit = "key.account.visit"

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
        feedback = bounds.clean_text(feedback)
        # sudo: whoever may write the visit, also one that has no right to the customer;
        # the message is still by whoever marks it done
        activities = self.sudo().activity_id.filtered("active")
        if activities:
            # Posts the message and archives, which brings us to _write_from_activities
            activities.action_feedback(feedback=feedback)
        rest = self.sudo().filtered(lambda visit: visit.state == "planned")
        rest._mark_done()
        if feedback:
            rest.feedback = feedback
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
        date_resume = bounds.to_day(self.env, date_resume)
        self._fields["date_resume"]._check_bounds(date_resume, self)
        if date_resume and any(date_resume < visit._get_today() for visit in self):
            raise ValidationError(
                self.env._("The day to come back is in the past: choose a later one.")
            )
        self.sudo()._cancel(reason or self.env._("Cancelled by hand"), date_resume)
        return True

    def _resume(self):
        """Plan cancelled visits at once for the day to come back, and tell when the
        next one is.

        :return: a notification; the dialog closes
        """
        self.ensure_one()
        # sudo: whoever could cancel the visit
        visit = self.sudo()
        visit.env["key.account.settlement"]._plan_resumed(visit)
        return visit._get_next_notification(self.env._("Cancelled."))

    def action_open_cancel(self):
        self.ensure_one()
        self.check_access("write")
        return open_dialog(
            self.env._("Cancel Visit"),
            "key.account.visit.cancel",
            visit_id=self.id,
        )

    def _check_planned(self):
        closed = self.filtered(lambda visit: visit.state != "planned")
        if closed:
            raise UserError(
                self.env._(
                    "The visit %s is not planned any more: refresh the page.",
                    closed[0].display_name,
                )
            )

    def _change_state(self, state):
        """Written by a client, a state takes the same way as the buttons."""
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
    # Life of a visit
    # -------------------------------------------------------------------------

    def _mark_done(self, maker=None):
        """Close planned visits as done today in their salesperson's time zone, and
        plan the next ones at once, however far away they are.

        :param dict maker: values that say who made them, if it wasn't the salesperson
        """
        # A day that was named goes before today.
        for day, visits in self.grouped(
            lambda visit: visit.date_done or visit._get_today()
        ).items():
            visits.write({"state": "done", "date_done": day, **(maker or {})})
        self._plan_next()
        self.env["key.account.settlement"]._settle_done(self)
        if commitments := self.commitment_ids:
            commitments._create_activities()
        self.env["key.account.visit.task"]._create_follow_ups(self)

    def _plan_next(self):
        """Plan what follows done visits."""
        self.env["key.account.planner"]._plan_next(self)

    def _reopen(self):
        """Plan done visits again, because their activities were restored."""
        self._check_correction()
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
        # done, its activity says nothing to others
        self._carry_to_activities({"target_contact_id"})
        self.env["key.account.visit.task"]._unlink_follow_ups(self)
        self.commitment_ids._unlink_activities()
        self.write({"report_date": False, "report_uid": False, "report_key": False})

    def _cancel(self, reason, date_resume=None):
        """Cancel on a person's behalf: the account is due again on ``date_resume``,
        by default one interval after the planned date, so that the next run doesn't
        undo the cancellation."""
        for day, visits in self.grouped(
            lambda visit: date_resume or visit._get_default_resume()
        ).items():
            visits._close(reason, day)

    def _get_default_resume(self):
        line = self.cadence_id
        day = max(self.date_planned, self._get_today())
        days = self.partner_id.with_company(self.company_id).visit_interval_days
        count, unit = line._get_interval(days if self.track == "visit" else 0)
        day = engine.add_interval(day, count or 1, unit or "month")
        return min(day, bounds.LAST_DAY)

    def _close(self, reason, date_resume=False, unlink_activities=True):
        """Cancel visits. Without ``date_resume`` the cadence goes on from the last
        done visit, as if this one had never been planned."""
        activities = self.activity_id
        for today, visits in self.grouped(lambda visit: visit._get_today()).items():
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
            activities.unlink()

    # -------------------------------------------------------------------------
    # Doors to the planner
    # -------------------------------------------------------------------------

    @api.model
    def _generate(self, partners=None, company=None, today=None):
        """See :meth:`key.account.planner._generate`."""
        planner = self.env["key.account.planner"]
        return planner._generate(partners, company, today)

    @api.model
    def _cron_generate(self):
        """See :meth:`key.account.planner._cron_generate`."""
        self.env["key.account.planner"]._cron_generate()
