from datetime import timedelta
from urllib.parse import urlencode

import psycopg2.errors

from odoo import api, fields, models
from odoo.exceptions import AccessError, ConcurrencyError, UserError
from odoo.tools import SQL, mute_logger

from ..account import bounds

# A phone may take its time to know where it is.
PLACE_DELAY = timedelta(minutes=10)


class KeyAccountCheckIn(models.Model):
    """When, and if the phone told it where, a salesperson was at a customer's door.

    A model of its own: whoever may read the visit may not read this. The salesperson
    does, and who sees all documents. The nightly job deletes it after some months.
    """

    _name = "key.account.check.in"
    _description = "Check-In at a Customer"
    _rec_name = "visit_id"
    _order = "date desc, id desc"

    visit_id = fields.Many2one(
        "key.account.visit",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    partner_id = fields.Many2one(related="visit_id.partner_id", string="Customer")
    company_id = fields.Many2one(
        related="visit_id.company_id",
        store=True,
        precompute=True,
        index=True,
    )
    user_id = fields.Many2one(
        "res.users",
        string="Salesperson",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    date = fields.Datetime(string="Checked In", required=True, readonly=True)
    latitude = bounds.Float(digits=(10, 7), bounds=(-90, 90), readonly=True)
    longitude = bounds.Float(digits=(10, 7), bounds=(-180, 180), readonly=True)
    accuracy = bounds.Float(
        string="Accuracy (m)",
        bounds=(0, 10**7),
        readonly=True,
        help="How far from there the phone may have been, as it says itself.",
    )

    _visit_uniq = models.UniqueIndex("(visit_id, user_id)")
    _date_idx = models.Index("(company_id, date)")

    @api.model
    def _delete_old(self):
        """Delete what is older than the months that the companies keep it, also where
        they have switched it off again. One statement."""
        self.flush_model(["company_id", "date"])
        self.env["res.company"].flush_model(["key_account_check_in_months"])
        self.env.cr.execute(
            SQL(
                """
                DELETE FROM key_account_check_in check_in
                      USING res_company company
                 WHERE company.id = check_in.company_id
                   AND check_in.date < %s - MAKE_INTERVAL(
                           months => company.key_account_check_in_months)
                """,
                fields.Datetime.now(),
            )
        )
        self.invalidate_model()


class KeyAccountVisit(models.Model):
    """The salesperson is at the door."""

    _inherit = "key.account.visit"

    can_check_in = fields.Boolean(compute="_compute_check_in")
    check_in_date = fields.Datetime(
        string="Checked In",
        compute="_compute_check_in",
        help="Shown to the salesperson, and to those who see all documents.",
    )
    check_in_url = fields.Char(
        string="Place of the Check-In",
        compute="_compute_check_in",
        help="A link to the place on a map; opened by a tap only.",
    )

    @api.depends("state", "mode", "user_id", "company_id.key_account_check_in")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_check_in(self):
        self.can_check_in = self.check_in_date = self.check_in_url = False
        # sudo: whether one checks in is no secret
        used = self.filtered(
            lambda visit: visit._origin.company_id.sudo().key_account_check_in
        )
        check_ins = self.env["key.account.check.in"]
        if not used or not check_ins.has_access("read"):
            return
        # with the rights of the reader; the latest one first
        found = check_ins.search([("visit_id", "in", used._origin.ids)])
        by_visit = found.grouped(lambda check_in: check_in.visit_id.id)
        for visit in used:
            saved = visit._origin
            there = by_visit.get(saved.id, check_ins)
            visit.can_check_in = (
                saved.state == "planned"
                and saved.mode == "on_site"
                and saved._is_made_by(self.env.user)
                and self.env.user not in there.user_id
            )
            latest = there[:1]
            visit.check_in_date = latest.date
            if latest.latitude or latest.longitude:
                place = f"{latest.latitude:.6f},{latest.longitude:.6f}"
                visit.check_in_url = "https://maps.google.com/maps?" + urlencode(
                    {"q": place}
                )

    def _is_made_by(self, user):
        """Return whether ``user`` is who makes the visit, or might."""
        return self.user_id in (user, user.browse())

    def action_check_in(self, place=False):
        """Note that the user is at the customer's door now. The place may come by a
        second call: a phone takes its time to find it, or is told not to.

        :param dict place: ``latitude`` and ``longitude`` in degrees, ``accuracy`` in
            metres; nothing: where is not known
        :raise UserError: if the company doesn't use it, the visit isn't planned here
            any more, or the place is none
        :raise AccessError: if the visit isn't the user's own
        """
        self.ensure_one()
        self.check_access("write")
        if not self.company_id.sudo().key_account_check_in:
            raise UserError(
                self.env._("Nobody checks in here: an administrator can switch it on.")
            )
        values = self._get_place_values(place)
        # sudo: this method alone writes it
        check_in = self.env["key.account.check.in"].sudo()
        known = check_in.search(
            [("visit_id", "=", self.id), ("user_id", "=", self.env.uid)]
        )
        if not known:
            if not self._is_made_by(self.env.user):
                raise AccessError(
                    self.env._(
                        "Whoever makes the visit to %s checks in there.", self.name
                    )
                )
            self._check_planned()
            now = fields.Datetime.now()
            vals = {"visit_id": self.id, "user_id": self.env.uid, "date": now, **values}
            try:
                with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                    check_in.create(vals)
            except psycopg2.errors.UniqueViolation as error:
                # A second tap at this moment: once more, when the first is there.
                raise ConcurrencyError(str(error)) from error
        elif (
            values
            and not (known.latitude or known.longitude)
            and known.date >= fields.Datetime.now() - PLACE_DELAY
        ):
            known.write(values)
        self.invalidate_recordset(["can_check_in", "check_in_date", "check_in_url"])
        return True

    def action_undo_check_in(self):
        """Forget the user's own check-in, as long as the visit is planned.

        :raise UserError: if the visit isn't planned any more
        """
        self.ensure_one()
        self.check_access("write")
        self._check_planned()
        # sudo: nobody deletes any but this one
        self.env["key.account.check.in"].sudo().search(
            [("visit_id", "=", self.id), ("user_id", "=", self.env.uid)]
        ).unlink()
        self.invalidate_recordset(["can_check_in", "check_in_date", "check_in_url"])
        return True

    @api.model
    def _get_place_values(self, place):
        """Return the values that say where, checked."""
        if not place:
            return {}
        names = ("latitude", "longitude", "accuracy")
        if not isinstance(place, dict) or not {"latitude", "longitude"} <= place.keys():
            raise UserError(
                self.env._("This is no place: give its latitude and longitude.")
            )
        values = {name: place[name] for name in names if place.get(name) is not None}
        bounds.check_values(self.env["key.account.check.in"], [values])
        return values

    def _take_check_in(self, other):
        """Take over when somebody was at the door of ``other``, which becomes one with
        this visit."""
        if self.company_id.sudo().key_account_check_in:
            check_ins = self.env["key.account.check.in"].sudo()
            check_ins = check_ins.search([("visit_id", "in", (self | other).ids)])
            own = check_ins.filtered(lambda check_in: check_in.visit_id == self)
            check_ins.filtered(
                lambda check_in: check_in.user_id not in own.user_id
            ).visit_id = self
