from datetime import datetime

from odoo import fields, models

from ..account import clock

DIGEST_HOUR = 6
WARNING = "mail.mail_activity_data_warning"


class ResUsers(models.Model):
    _inherit = "res.users"

    key_account_digest_date = fields.Date(
        readonly=True,
        copy=False,
        # colleagues are read in every company: who gets digests there is nobody's
        groups=fields.NO_ACCESS,
        help="Day of the last visit digest, in the user's time zone.",
    )

    def _follow_sales_companies(self, before):
        """Hand over what users can't read any more, and give back what came to others
        while they didn't work in sales.

        :param dict before: what :meth:`_get_sales_companies` returned
        """
        nowhere = self.env["res.company"]
        after = self._get_sales_companies()
        lost = self.filtered(lambda user: before.get(user, nowhere) - after[user])
        gained = self.filtered(lambda user: after[user] - before.get(user, nowhere))
        (lost | gained)._refresh_key_account_dues(sponsors=bool(gained))
        follow = self.env["key.account.visit.follow"].sudo()
        follow._hand_over_lost_users(self)
        follow._give_back(gained)

    def _is_visit_digest_due(self):
        """Return whether it is past six in the morning where the user is, on a day
        whose digest wasn't sent yet."""
        self.ensure_one()
        now = datetime.now(clock.get_timezone(self.company_id, self))
        sent = self.sudo().key_account_digest_date
        return now.hour >= DIGEST_HOUR and (not sent or sent < now.date())

    def _get_failed_digest_notes(self):
        """Return {user: activities} by which the administrators know that a digest of
        these users failed."""
        users = self.sudo()
        notes = users.env["mail.activity"].search(
            [
                ("res_model", "=", "res.partner"),
                ("res_id", "in", users.partner_id.ids),
                ("activity_type_id", "=", self.env.ref(WARNING).id),
                ("automated", "=", True),
            ]
        )
        return {
            user: notes.filtered(
                lambda note, user=user: (
                    note.res_id == user.partner_id.id
                    and note.summary == user._get_failed_digest_summary(note.user_id)
                )
            )
            for user in self
        }

    def _get_failed_digest_summary(self, administrator):
        texts = self.with_context(lang=administrator.lang).env
        return texts._("Daily visit digest failed: %s", self.name)

    def _tell_of_failed_digest(self, error, notes):
        """Tell the administrators that the user gets no digest: once, until the next
        one that doesn't fail. It is tried again every hour.

        :param notes: those of :meth:`_get_failed_digest_notes`
        """
        self.ensure_one()
        partner = self.partner_id.sudo()
        administrators = self.company_id._get_key_account_administrators()
        for admin in administrators - notes.user_id:
            texts = self.with_context(lang=admin.lang).env
            partner.activity_schedule(
                WARNING,
                summary=self._get_failed_digest_summary(admin),
                note=texts._(
                    "%s It is tried again every hour.",
                    (str(error).strip() or type(error).__name__)[:500],
                ),
                user_id=admin.id,
            )

    def _send_visit_digest(self, template, companies):
        """Mail the user what is planned for today and what is left from earlier
        days."""
        self.ensure_one()
        visits = self.env["key.account.visit"]
        today = clock.get_today(self.company_id, self)
        visits = visits.search(
            [
                ("user_id", "=", self.id),
                ("state", "=", "planned"),
                ("date_planned", "<=", today),
                ("company_id", "in", companies.ids),
            ],
            order="date_planned, id",
        )
        # Also without visits: what is planned later in the day is not worth a mail.
        self.sudo().key_account_digest_date = today
        if visits and self.email:
            reader = self.with_context(lang=self.lang).env
            # written as the reasons beside: since when it is overdue, else the day
            days = {
                visit.id: clock.format_day(
                    reader,
                    visit.date_due
                    if visit.date_due and visit.date_due < today
                    else visit.date_planned,
                )
                for visit in visits
            }
            template.with_context(days=days, visits=visits, today=today).send_mail(
                self.id, email_layout_xmlid="mail.mail_notification_light"
            )
