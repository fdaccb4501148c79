from odoo import api, fields, models
from odoo.exceptions import AccessError, ConcurrencyError, UserError
from odoo.fields import Command, Domain

from ...models.account import bounds, clock


class KeyAccountVisitSubstitute(models.TransientModel):
    """Name a substitute for the days on which a salesperson is away: what is planned
    and can't wait goes there, and comes back afterwards."""

    _name = "key.account.visit.substitute"
    _inherit = "key.account.form"
    _description = "Substitute"

    user_id = fields.Many2one(
        "res.users",
        string="Away",
        required=True,
        default=lambda self: self.env.user,
        ondelete="cascade",
    )
    date_from = bounds.Date(
        string="From",
        required=True,
        default=fields.Date.context_today,
        is_plan=True,
    )
    date_to = bounds.Date(string="Until", required=True, is_plan=True)
    substitute_id = fields.Many2one(
        "res.users",
        required=True,
        domain="[('share', '=', False), ('id', '!=', user_id)]",
        ondelete="cascade",
    )
    visit_ids = fields.Many2many(
        "key.account.visit",
        compute="_compute_visit_ids",
        string="Can't Wait",
        help="Planned for these days by a person, or the window ends before the first "
        "day back.",
    )

    @api.depends("user_id", "date_from", "date_to")
    def _compute_visit_ids(self):
        for dialog in self:
            dialog.visit_ids = [Command.set(dialog._get_visits().ids)]

    def _get_visits(self):
        """Return the user's planned visits that can't wait until the first day back, of
        those that whoever asks may give away."""
        visits = self.env["key.account.visit"]
        if not (self.user_id and self.date_from and self.date_to):
            return visits
        # a leave may become longer
        given = Domain("substituted_user_id", "=", self.user_id.id)
        given &= Domain("substituted_until", "<", self.date_to)
        found = visits.search(
            (Domain("user_id", "=", self.user_id.id) | given)
            & Domain("company_id", "in", self.env.companies.ids)
            & Domain("state", "=", "planned")
            & Domain("date_planned", "<=", self.date_to),
            order="date_planned, id",
        )
        today = clock.get_today(self.env.company, self.user_id)
        # what is overdue when the leave begins belongs to it
        return found.filtered(
            lambda visit: (
                max(visit.date_planned, today) >= self.date_from
                and not (visit._is_movable() and visit._get_window_end() > self.date_to)
            )
        )._filtered_access("write")

    def action_give(self):
        """Give the visits to the substitute, until the last day away.

        :raise AccessError: for another one's visits, for those who see their own
            documents only
        :raise UserError: if the days or the substitute won't do, or nothing is to give
        """
        self.ensure_one()
        self.env["key.account.visit"].check_access("write")
        user, substitute = self.user_id, self.substitute_id
        if user != self.env.user and not self.env.user.has_group(
            "sales_team.group_sale_salesman_all_leads"
        ):
            raise AccessError(
                self.env._("You name a substitute for your own visits only.")
            )
        if self.date_to < max(self.date_from, clock.get_today(self.env.company, user)):
            raise UserError(
                self.env._("The last day away must not be before the first, or past.")
            )
        if substitute == user:
            raise UserError(self.env._("Choose somebody else as the substitute."))
        visits = self._get_visits()
        if not visits:
            raise UserError(
                self.env._(
                    "Every planned visit can wait until %s is back.", user.sudo().name
                )
            )
        # The same at this moment: once more, when they are given.
        if visits.sudo().try_lock_for_update() != visits.sudo():
            raise ConcurrencyError("Visits are given to a substitute")
        visits._give_to_substitute(substitute, user, self.date_to)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self._get_given_text(substitute, len(visits)),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def _get_given_text(self, substitute, count):
        # sudo: a colleague's name
        user = substitute.sudo().name
        date = clock.format_day(self.env, self.date_to)
        if count == 1:
            return self.env._(
                "%(user)s makes 1 visit until %(date)s.", user=user, date=date
            )
        return self.env._(
            "%(user)s makes %(count)s visits until %(date)s.",
            user=user,
            count=count,
            date=date,
        )
