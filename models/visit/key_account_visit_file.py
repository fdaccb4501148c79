from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ..account import clock

# What a visit was about can't be changed once it is done or cancelled.
HISTORY_FIELDS = {
    "company_id",
    "date_done",
    "date_planned",
    "lead_id",
    "partner_id",
    "summary",
    "track",
    "user_id",
}


class KeyAccountVisitFile(models.AbstractModel):
    """Visits that come in a file, with Odoo's import."""

    _name = "key.account.visit.file"
    _description = "Visits from a File"

    @api.model
    def load(self, fields, data):
        """A file that is loaded twice makes nothing twice."""
        latest = self.sudo().search(Domain.TRUE, order="id DESC", limit=1)
        visits = self.with_context(key_account_last_visit_id=latest.id)
        return super(KeyAccountVisitFile, visits).load(fields, data)

    @api.model
    def _load_records_create(self, vals_list):
        self._check_not_loaded(vals_list)
        return super()._load_records_create(vals_list)

    def _load_records_write(self, values):
        # what a file says again of a closed visit is no change
        partner = self.partner_id.browse(values.get("partner_id") or ())
        known = {
            name: self._fields[name].convert_to_cache(self[name], self)
            for name in HISTORY_FIELDS
        }
        said = {**values, "partner_id": partner.commercial_partner_id}
        return super()._load_records_write(
            {
                name: value
                for name, value in values.items()
                if name not in HISTORY_FIELDS
                or self._fields[name].convert_to_cache(said[name], self) != known[name]
            }
        )

    @api.model
    def _check_not_loaded(self, vals_list):
        """Refuse rows of a file about past visits that were there before it came.

        :raise UserError: if there is one
        """
        latest = self.env.context.get("key_account_last_visit_id")
        done = [vals for vals in vals_list if vals.get("state") == "done"]
        if not latest or not done:
            return
        done = self._complete_new_values(done)
        # sudo: whoever may not read one may not make it again
        known = {
            visit._get_account_key() + (visit.user_id.id, visit.date_done)
            for visit in self.sudo().search(
                [
                    ("id", "<=", latest),
                    ("state", "=", "done"),
                    ("date_done", "in", [vals["date_done"] for vals in done]),
                ]
            )
        }
        for vals in done:
            visit = self.new({"user_id": self.env.uid, "track": "visit", **vals})
            if visit._get_account_key() + (visit.user_id.id, visit.date_done) in known:
                raise UserError(
                    self.env._(
                        "The visit to %(customer)s on %(day)s is there already: take "
                        "the row out, or name the visit's external ID.",
                        customer=visit.name,
                        day=clock.format_day(self.env, visit.date_done),
                    )
                )
