"""A person is taken out of what is held, which stays otherwise."""

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from .key_account_privacy import LOGGED_VALUES, VISIT, Words, join_columns

ERASED_CONTACT = "crm_key_account.erased_contact"
# Of a customer who is a person and was visited: what says who that was
PERSONAL_FIELDS = (
    *("barcode", "category_id", "city", "comment", "email", "function", "image_1920"),
    *("phone", "ref", "street", "street2", "vat", "website", "zip"),
)


class KeyAccountPrivacy(models.AbstractModel):
    _inherit = "key.account.privacy"

    @api.model
    def _erase_line(self, line):
        """Do for a line of core's look-up what is right for it instead of deleting.

        :return: whether all is done; False: core deletes the record
        """
        line.check_access("write")
        if line.is_unlinked or line.res_model not in self.env:
            return False
        record = self.env[line.res_model].sudo().browse(line.res_id).exists()
        wizard = line.wizard_id
        if not record:
            return False
        if record._name == "res.partner":
            self._erase_contact(record)
            if not record._is_visited_person():
                return False
            self._make_anonymous(record)
        elif record._name in {model._name for model in self._get_subjects()}:
            persons = self._get_persons(wizard.name, wizard.email)
            self._erase_links(record, persons)
            words = Words(wizard.name, wizard.email)
            self._erase_words(record, self._get_texts(record), words.any)
            self._erase_around(record, words.any)
        else:
            return False
        line.execution_details = self.env._(
            "Erased from %(model)s #%(id)s",
            model=line.res_model_id.name,
            id=line.res_id,
        )
        line.is_unlinked = True
        return True

    @api.model
    def _erase_contact(self, contact):
        """Take a contact who is about to be deleted out of all that links to it, and
        the name out of what Odoo and planning wrote there. Notes of people are decided
        about one by one."""
        words = Words(contact.name, contact.email)
        for model in self._get_subjects():
            domains = [
                Domain(field.name, "in", contact.ids)
                for field in self._get_links(model)
            ]
            if domains and (records := model.search(Domain.OR(domains))):
                self._erase_links(records, contact)
                self._erase_around(records, words.whole)

    @api.model
    def _erase_links(self, records, persons):
        """Take persons out of what links to them. Visits keep that somebody was met."""
        for field in self._get_links(records):
            records.flush_recordset([field.name])
            if field.type == "many2one":
                column = SQL.identifier(field.name)
                self.env.cr.execute(
                    SQL(
                        "UPDATE %s SET %s = NULL WHERE id = ANY(%s) AND %s = ANY(%s)",
                        SQL.identifier(records._table),
                        column,
                        records.ids,
                        column,
                        persons.ids,
                    )
                )
                continue
            parts = {
                "relation": SQL.identifier(field.relation),
                "record": SQL.identifier(field.column1),
                "person": SQL.identifier(field.column2),
                "ids": records.ids,
                "persons": persons.ids,
            }
            scope = SQL(
                "%(record)s = ANY(%(ids)s) AND %(person)s = ANY(%(persons)s)", **parts
            )
            if records._name == VISIT:
                self.env.cr.execute(
                    SQL(
                        """
                        INSERT INTO %(relation)s (%(record)s, %(person)s)
                        SELECT DISTINCT %(record)s, %(erased)s::int4
                          FROM %(relation)s
                         WHERE %(scope)s
                            ON CONFLICT DO NOTHING
                        """,
                        erased=self._get_erased_contact().id,
                        scope=scope,
                        **parts,
                    )
                )
            self.env.cr.execute(
                SQL("DELETE FROM %s WHERE %s", parts["relation"], scope)
            )
        records.invalidate_recordset()

    @api.model
    def _erase_around(self, records, pattern):
        """Take names out of the log of records and, with visits, out of their
        activities."""
        messages = (
            self.env["mail.message"]
            .sudo()
            .search(
                records._get_attached_domain("model")
                if records._name == VISIT
                else [("model", "=", records._name), ("res_id", "in", records.ids)]
            )
        )
        self._erase_words(messages, ["body"], pattern)
        self._erase_words(messages.tracking_value_ids, LOGGED_VALUES, pattern)
        if records._name == VISIT:
            records._carry_to_activities({"objective", "target_contact_id"})
            tasks = records.with_context(active_test=False).task_ids
            self._erase_words(tasks, ["summary", "note", "feedback"], pattern)

    @api.model
    def _erase_words(self, records, names, pattern):
        """Put “a contact who was erased” where the columns ``names`` call somebody by
        ``pattern``."""
        if not names or not records:
            return
        records.flush_recordset(names)
        self.env.cr.execute(
            SQL(
                "UPDATE %s SET %s WHERE id = ANY(%s) AND %s ~* %s",
                SQL.identifier(records._table),
                SQL(", ").join(
                    SQL(
                        "%s = REGEXP_REPLACE(%s, %s, %s, 'gi')",
                        SQL.identifier(name),
                        SQL.identifier(name),
                        pattern,
                        self.env._("a contact who was erased"),
                    )
                    for name in names
                ),
                records.ids,
                join_columns(names, records._table),
                pattern,
            )
        )
        records.invalidate_recordset(names)

    @api.model
    def _get_erased_contact(self):
        """Return who stands at visits for those who were erased: an archived contact of
        nobody, made with the first one."""
        contact = self.env.ref(ERASED_CONTACT, raise_if_not_found=False)
        if not contact:
            contact = (
                self.env["res.partner"]
                .sudo()
                .create(
                    {"name": self.env._("A contact who was erased"), "active": False}
                )
            )
            self.env["ir.model.data"].sudo()._update_xmlids(
                [{"xml_id": ERASED_CONTACT, "record": contact, "noupdate": True}]
            )
        return contact

    @api.model
    def _make_anonymous(self, customer):
        """Make a customer who is a person and was visited nobody: the history stays,
        as books do."""
        names = [name for name in PERSONAL_FIELDS if name in customer]
        quiet = customer.with_context(tracking_disable=True)
        words = Words(customer.name, customer.email)
        quiet.write(
            {
                **dict.fromkeys(names, False),
                "name": self.env._("A customer who was erased"),
                "active": False,
            }
        )
        visits = self.env[VISIT].sudo().search([("partner_id", "=", customer.id)])
        self._erase_around(visits, words.whole)
        tasks = visits.with_context(active_test=False).task_ids
        self._erase_words(tasks, ["res_name"], words.whole)


class ResPartner(models.Model):
    _inherit = "res.partner"

    def _is_visited_person(self):
        """Return whether it is a person and a customer that was visited."""
        return (
            not self.is_company
            and self == self.commercial_partner_id
            and bool(
                self.env[VISIT].search_count(
                    [("partner_id", "=", self.id), ("state", "=", "done")], limit=1
                )
            )
        )
