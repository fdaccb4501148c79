from odoo import api, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from ..planning.key_account_cadence import TRACKS


class MailActivityType(models.Model):
    """The types of visits. After a visit the cadence plans the next one: a type that
    follows itself would plan another."""

    _inherit = "mail.activity.type"

    @api.model
    def _get_key_account_tracks(self):
        """Return {id of each of our types that is there: the track of its visits}."""
        types = {
            track: self.env.ref(
                f"crm_key_account.mail_activity_type_{track}", raise_if_not_found=False
            )
            for track, _ in TRACKS
        }
        return {kind.id: track for track, kind in types.items() if kind}

    @api.constrains(
        "triggered_next_type_id", "suggested_next_type_ids", "previous_type_ids"
    )
    def _check_key_account_chain(self):
        # also a chain of others may lead from one of ours back to it
        self.browse(self._get_key_account_tracks())._check_not_chained()
        lines = self.env["key.account.cadence"].sudo().with_context(active_test=False)
        lines.search(Domain("activity_type_id", "!=", False))._check_activity_type()

    def _check_not_chained(self):
        """Refuse types that may follow themselves.

        :raise ValidationError: if one of them does, directly or by way of others
        """
        for kind in self.sudo().with_context(active_test=False):
            seen = self.browse()
            following = kind._get_next_types()
            while following:
                seen |= following
                following = following._get_next_types() - seen
            if kind in seen:
                raise ValidationError(
                    self.env._(
                        "“%s” would follow itself: after a visit the cadence plans the "
                        "next one. Choose another next activity.",
                        kind.name,
                    )
                )

    def _get_next_types(self):
        return self.triggered_next_type_id | self.suggested_next_type_ids
