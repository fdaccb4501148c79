"""What is held about a contact, as a spreadsheet."""

from odoo import api, models
from odoo.exceptions import AccessError
from odoo.tools import format_list, html2plaintext

from .key_account_privacy import VISIT, Words

# Who answers for what is held about people
EXPORTERS = "sales_team.group_sale_manager"
# A contact's own sheet: what there is of it
CONTACT_FIELDS = (
    *("name", "parent_id", "function", "email", "phone"),
    *("buying_role_ids", "decision_level", "stance", "left_company_date"),
    "last_met_date",
)
TASK_FIELDS = ("date_deadline", "summary", "note", "feedback", "user_id")
# Core's, which say nothing about a person
TECHNICAL_FIELDS = ("activity_", "message_", "my_activity_", "website_message_")


class KeyAccountPrivacy(models.AbstractModel):
    _inherit = "key.account.privacy"

    @api.model
    def _check_can_export(self, partner):
        """Refuse what would tell of a person to whoever doesn't answer for it.

        :raise AccessError: for want of rights
        """
        if not self.env.user.has_group(EXPORTERS):
            raise AccessError(
                self.env._(
                    "A sales administrator exports what is held about a contact: ask "
                    "one."
                )
            )
        partner.check_access("read")

    @api.model
    def _get_sheets(self, partner):
        """Return what the user may read of what is held about a contact, in all of the
        user's companies.

        :return: a list of (title, names of columns, rows of values)
        :raise AccessError: for want of rights
        :raise UserError: without the right to export
        """
        self._check_can_export(partner)
        companies = self.env.user.company_ids
        partner = partner.with_context(allowed_company_ids=companies.ids)
        env = partner.env
        names = [name for name in CONTACT_FIELDS if name in partner.fields_get()]
        _, labels, [values] = self._get_sheet(partner, names)
        sheets = [
            (
                env._("Contact"),
                [env._("What"), env._("Value")],
                [
                    *zip(labels, values, strict=True),
                    (env._("Companies"), format_list(env, companies.mapped("name"))),
                ],
            )
        ]
        found = self._find(partner.sudo(), Words(partner.name, partner.email))
        # what was said comes first
        for name in sorted(found, key=lambda name: name != VISIT):
            records = found[name]
            model = env[name].with_context(active_test=False)
            if not records or not model.has_access("read"):
                continue
            readable = model.search([("id", "in", records.ids)])
            if readable:
                sheets.append(self._get_sheet(readable))
            if readable and name == VISIT:
                sheets += self._get_sheets_of_visits(readable)
        return sheets

    @api.model
    def _get_sheet(self, records, names=None):
        """Return title, columns and rows of records, as Odoo exports them.

        :param names: of the fields; default: what is stored and shown
        """
        shown = records.fields_get(attributes=["exportable", "store", "string", "type"])
        names = names or [
            field.name
            for field in sorted(records._fields.values(), key=lambda f: f._sequence)
            if (described := shown.get(field.name))
            if described["store"] and described.get("exportable", True)
            if field.type not in ("binary", "json", "one2many") and field.name != "id"
            if not field.name.startswith(TECHNICAL_FIELDS)
        ]
        return (
            records.env["ir.model"]._get(records._name).sudo().name,
            [shown[name]["string"] for name in names],
            records.export_data(names)["datas"],
        )

    @api.model
    def _get_sheets_of_visits(self, visits):
        """Return what is kept with visits in Odoo's own models: activities, files and
        the log of corrections, as far as the user may read it."""
        env, sheets = visits.env, []
        tasks = visits.with_context(active_test=False).task_ids
        if tasks := tasks._filtered_access("read"):
            sheets.append(self._get_sheet(tasks, TASK_FIELDS))
        names = {visit.id: visit.display_name for visit in visits}
        scope = visits._get_attached_domain("res_model")
        if files := env["ir.attachment"].search(scope):
            sheets.append(
                (
                    env._("Files"),
                    [env._("File"), env._("Visit"), env._("Uploaded On")],
                    [
                        [file.name, names[file.res_id], file.create_date]
                        for file in files
                    ],
                )
            )
        scope = visits._get_attached_domain("model")
        if messages := env["mail.message"].search(scope):
            sheets.append(
                (
                    env._("Log"),
                    [env._("Date"), env._("Visit"), env._("Author"), env._("Message")],
                    [
                        [
                            message.date,
                            names[message.res_id],
                            message.author_id.sudo().name or "",
                            _get_said(message),
                        ]
                        for message in messages
                    ],
                )
            )
        return sheets


class ResPartner(models.Model):
    _inherit = "res.partner"

    def action_export_key_account_data(self):
        """Download what is held about the contact, as a spreadsheet.

        :raise AccessError: for whoever is no sales administrator, or may not read the
            contact
        """
        self.ensure_one()
        self.env["key.account.privacy"]._check_can_export(self)
        return {
            "type": "ir.actions.act_url",
            "url": f"/key_account/contact/{self.id}/data",
            "target": "download",
        }


def _get_said(message):
    """Return a message as text, with what was corrected.

    sudo: whoever may read the message sees it there
    """
    lines = [html2plaintext(message.body or "")]
    for value in message.sudo().tracking_value_ids:
        old, new = (
            getattr(value, f"{age}_value_char") or getattr(value, f"{age}_value_text")
            for age in ("old", "new")
        )
        name = value.field_id.field_description or ""
        lines.append(f"{name}: {old or ''} → {new or ''}")
    return "\n".join(line for line in lines if line)
