from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command

from ...engine import receiving as engine
from ...models.account import bounds
from ...models.account.receiving import get_receiving

# In the order of weeks that begin on Monday
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_PER_HOUR = 60


class KeyAccountReceivingSet(models.TransientModel):
    """Say when a customer receives visitors: weekdays with hours, and days on which it
    is closed. The account keeps it as one text."""

    _name = "key.account.receiving.set"
    _inherit = "key.account.form"
    _description = "When They Receive"

    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        required=True,
        ondelete="cascade",
    )
    line_ids = fields.One2many(
        "key.account.receiving.set.line", "set_id", string="Hours"
    )
    closing_ids = fields.One2many(
        "key.account.receiving.set.closing", "set_id", string="Closed"
    )

    @api.model
    def default_get(self, fields):
        values = super().default_get(fields)
        partner = bounds.to_record(
            self.env["res.partner"], values.get("partner_id")
        ).exists()
        partner.check_access("read")
        receiving = get_receiving(partner.key_account_receiving_hours)
        if "line_ids" in fields:
            values["line_ids"] = [
                Command.create(
                    {
                        **{day: number in numbers for number, day in enumerate(DAYS)},
                        "hour_from": begin / MINUTES_PER_HOUR,
                        "hour_to": end / MINUTES_PER_HOUR,
                    }
                )
                for numbers, spans in engine.get_groups(receiving)
                for begin, end in spans
            ]
        if "closing_ids" in fields:
            values["closing_ids"] = [
                Command.create({"date_from": first, "date_to": last})
                for first, last in receiving.closed
            ]
        return values

    def action_set(self):
        """Keep the hours in this company. Planned visits that can't be on their days
        any more go to others; what people planned or moved stays.

        :raise AccessError: if the account is a colleague's, for those who see their own
            documents only
        :raise UserError: if a line makes no sense
        """
        self.ensure_one()
        account = self.partner_id.commercial_partner_id
        (self.partner_id | account).check_access("read")
        account._check_own_account()
        weekly = [[] for _ in DAYS]
        for line in self.line_ids:
            for number in line._get_weekdays():
                weekly[number].append(line._get_span())
        receiving = engine.make(
            weekly, [closing._get_days() for closing in self.closing_ids]
        )
        account.write({"key_account_receiving_hours": engine.format_text(receiving)})
        return {"type": "ir.actions.act_window_close"}


class KeyAccountReceivingSetLine(models.TransientModel):
    """Weekdays, as the widget of Odoo's calendar names them, and hours."""

    _name = "key.account.receiving.set.line"
    _inherit = "key.account.form"
    _description = "Weekdays and Hours"

    set_id = fields.Many2one(
        "key.account.receiving.set", required=True, index=True, ondelete="cascade"
    )
    mon = fields.Boolean(default=True)
    tue = fields.Boolean(default=True)
    wed = fields.Boolean(default=True)
    thu = fields.Boolean(default=True)
    fri = fields.Boolean(default=True)
    sat = fields.Boolean()
    sun = fields.Boolean()
    hour_from = bounds.Float("From", default=9.0, bounds=(0.0, 24.0))
    hour_to = bounds.Float("Until", default=17.0, bounds=(0.0, 24.0))
    words = fields.Char(compute="_compute_words")

    @api.depends(*DAYS, "hour_from", "hour_to")
    @api.depends_context("lang", "tz")
    def _compute_words(self):
        for line in self:
            begin, end = line._to_minutes()
            line.words = False
            if begin < end and any(line[day] for day in DAYS):
                spans = [[(begin, end)] if line[day] else [] for day in DAYS]
                text = engine.format_text(engine.make(spans))
                line.words = self.env["key.account"]._get_receiving_words(text)

    def _to_minutes(self):
        return (
            round(self.hour_from * MINUTES_PER_HOUR),
            round(self.hour_to * MINUTES_PER_HOUR),
        )

    def _get_weekdays(self):
        numbers = [number for number, day in enumerate(DAYS) if self[day]]
        if not numbers:
            raise UserError(self.env._("Choose the weekdays, or remove the line."))
        return numbers

    def _get_span(self):
        begin, end = self._to_minutes()
        if begin >= end:
            raise UserError(
                self.env._("The hours must end after they begin, on the same day.")
            )
        return begin, end


class KeyAccountReceivingSetClosing(models.TransientModel):
    """Days on which nobody is received, whatever the weekday."""

    _name = "key.account.receiving.set.closing"
    _inherit = "key.account.form"
    _description = "Closing Days"
    _order = "date_from, id"

    set_id = fields.Many2one(
        "key.account.receiving.set", required=True, index=True, ondelete="cascade"
    )
    date_from = bounds.Date("From", required=True)
    date_to = bounds.Date("Until", help="Empty: that day alone.")

    def _get_days(self):
        first, last = self.date_from, self.date_to or self.date_from
        if first > last:
            raise UserError(
                self.env._("The last closing day must not be before the first one.")
            )
        return first, last
