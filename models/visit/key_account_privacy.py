"""What is held about a person: found, exported, and taken out where it is to go."""

import re
from functools import wraps

from odoo import api, models
from odoo.exceptions import AccessError
from odoo.fields import Domain
from odoo.tools import SQL, format_list, html2plaintext

# Who answers for what is held about people
EXPORTERS = "sales_team.group_sale_manager"
# Core's look-up, see _register_hook
WIZARD, WIZARD_LINE = "privacy.lookup.wizard", "privacy.lookup.wizard.line"
VISIT = "key.account.visit"
ERASED_CONTACT = "crm_key_account.erased_contact"
# Matches nothing: no word begins within one.
NOTHING = r"x\mx"
# Of a customer who is a person and was visited: what says who that was
PERSONAL_FIELDS = (
    *("barcode", "category_id", "city", "comment", "email", "function", "image_1920"),
    *("phone", "ref", "street", "street2", "vat", "website", "zip"),
)
# A contact's own sheet: what there is of it
CONTACT_FIELDS = (
    *("name", "parent_id", "function", "email", "phone"),
    *("buying_role_ids", "decision_level", "stance", "left_company_date"),
    "last_met_date",
)
TASK_FIELDS = ("date_deadline", "summary", "note", "feedback", "user_id")
# Core's, which say nothing about a person
TECHNICAL_FIELDS = ("activity_", "message_", "my_activity_", "website_message_")
LOGGED_VALUES = ("old_value_char", "new_value_char", "old_value_text", "new_value_text")


class Words:
    """How texts may call somebody, as regular expressions of PostgreSQL.

    :ivar str whole: by name or e-mail address
    :ivar str parts: by a part of the name, as “Ms Fox”
    :ivar str any: one of both
    """

    def __init__(self, name, email):
        texts = [text.strip() for text in (name, email) if text and text.strip()]
        parts = [part.strip(".,;:()'\"") for part in (name or "").split()]
        # “van” and “de” are in every other text, as two letters are
        parts = [part for part in parts if part[:1].isupper() and len(part) > 2]
        self.whole = _get_pattern(texts)
        self.parts = _get_pattern(parts)
        self.any = _get_pattern([*texts, *parts])


def _get_pattern(texts):
    if not texts:
        return NOTHING
    escaped = "|".join(re.escape(text) for text in texts)
    return rf"(?<!\w)({escaped})(?!\w)"


class KeyAccountPrivacy(models.AbstractModel):
    """What is held about a contact, in all models of customers at once: each of their
    links to persons, and each text that people write. A new model is found without a
    word here.

    Somebody is *erased* where what remains still says what happened: a visit keeps its
    day, its customer and its notes, and met “A contact who was erased”.
    """

    _name = "key.account.privacy"
    _description = "What Is Held about a Person"

    def _register_hook(self):
        """Have Odoo's privacy look-up find what links to several persons or names one
        in a text, and erase there instead of deleting. It may not be installed, so
        nothing can inherit from it."""
        super()._register_hook()
        if WIZARD in self.env:
            _extend(self.env.registry[WIZARD], "_get_query", _find_more)
            _extend(self.env.registry[WIZARD_LINE], "action_unlink", _erase_instead)

    # -------------------------------------------------------------------------
    # Finding
    # -------------------------------------------------------------------------

    @api.model
    def _get_subjects(self):
        """Return the models that keep something about customers, as superuser."""
        return [
            model.sudo().with_context(active_test=False)
            for name, model in self.env.items()
            if name.startswith("key.account.") or name == "key.account"
            if model._auto and not (model._abstract or model._transient)
            if "partner_id" in model
        ]

    @api.model
    def _get_links(self, model):
        """Return the stored fields that link to persons, without those by which the
        database deletes the record along with the customer."""
        return [
            field
            for field in model._fields.values()
            if field.comodel_name == "res.partner" and field.store and not field.related
            if field.type == "many2many"
            or (field.type == "many2one" and field.ondelete != "cascade")
        ]

    @api.model
    def _get_texts(self, model):
        """Return the names of the columns with words in them."""
        return [
            name
            for name, field in model._fields.items()
            if field.type in ("char", "text", "html") and field.store
            if not (field.translate or field.related)
            if not getattr(field, "is_internal", False)
        ]

    @api.model
    def _get_persons(self, name, email):
        """Return the contacts that core's look-up finds by these."""
        partners = self.env["res.partner"].sudo().with_context(active_test=False)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT id FROM res_partner
                 WHERE LOWER(name) = LOWER(%s) OR email_normalized = LOWER(%s)
                """,
                (name or "").strip(),
                (email or "").strip(),
            )
        )
        return partners.browse(id_ for (id_,) in rows)

    @api.model
    def _find_sql(self, model, persons, words):
        """Return the condition on ``held``, rows of ``model``: linked to ``persons``,
        or calling them by ``words`` in a text, in the log or in an activity."""
        model.flush_model()
        conditions = []
        for field in self._get_links(model):
            if field.type == "many2one":
                condition = SQL(
                    "held.%s = ANY(%s)", SQL.identifier(field.name), persons.ids
                )
            else:
                condition = SQL(
                    "held.id IN (SELECT %s FROM %s WHERE %s = ANY(%s))",
                    SQL.identifier(field.column1),
                    SQL.identifier(field.relation),
                    SQL.identifier(field.column2),
                    persons.ids,
                )
            conditions.append(condition)
        if names := self._get_texts(model):
            text = _join_columns(names, "held")
            conditions.append(SQL("%s ~* %s", text, words.whole))
            if model._fields["partner_id"].store:
                # “Ms Fox” is meant at her own customer alone
                conditions.append(
                    SQL(
                        "(held.partner_id = ANY(%s) AND %s ~* %s)",
                        persons.commercial_partner_id.ids,
                        text,
                        words.parts,
                    )
                )
        if "message_ids" in model:
            self.env["mail.message"].flush_model()
            self.env["mail.tracking.value"].flush_model()
            conditions.append(
                SQL(
                    """
                    held.id IN (
                        SELECT message.res_id
                          FROM mail_message message
                          LEFT JOIN mail_tracking_value value
                            ON value.mail_message_id = message.id
                         WHERE message.model = %s
                           AND CONCAT_WS(' ', message.body, %s) ~* %s)
                    """,
                    model._name,
                    _join_columns(LOGGED_VALUES, "value"),
                    words.whole,
                )
            )
        if model._name == VISIT:
            self.env["mail.activity"].flush_model()
            conditions.append(
                SQL(
                    """
                    held.id IN (
                        SELECT key_account_visit_id
                          FROM mail_activity
                         WHERE key_account_visit_id IS NOT NULL
                           AND CONCAT_WS(' ', summary, note, feedback) ~* %s)
                    """,
                    words.whole,
                )
            )
        return SQL("(%s)", SQL(" OR ").join(conditions or [SQL("FALSE")]))

    @api.model
    def _find(self, persons, words):
        """Return {name of a model: its records} of what is held about ``persons``, as
        superuser."""
        found = {}
        for model in self._get_subjects():
            condition = self._find_sql(model, persons, words)
            if model._fields["partner_id"].store:
                # a customer who is a person
                condition = SQL(
                    "%s OR held.partner_id = ANY(%s)", condition, persons.ids
                )
            rows = self.env.execute_query(
                SQL(
                    "SELECT held.id FROM %s held WHERE %s",
                    SQL.identifier(model._table),
                    condition,
                )
            )
            found[model._name] = model.browse(id_ for (id_,) in rows)
        visits = found[VISIT]
        for model in self._get_subjects():
            # what was promised there, and when somebody was at the door
            if "visit_id" in model and model._fields["visit_id"].required:
                found[model._name] |= model.search([("visit_id", "in", visits.ids)])
        return found

    @api.model
    def _add_to_query(self, query, name, email):
        """Return the query of core's look-up with what it doesn't find."""
        words, persons = Words(name, email), self._get_persons(name, email)
        models_ = self.env["ir.model"]
        parts = [query]
        for model in self._get_subjects():
            parts.append(
                SQL(
                    """
                    SELECT %s AS res_model_id, held.id AS res_id, TRUE AS is_active
                      FROM %s held WHERE %s
                    """,
                    models_._get_id(model._name),
                    SQL.identifier(model._table),
                    self._find_sql(model, persons, words),
                )
            )
        # what came of an activity, as Odoo posts it on the customer
        parts.append(
            SQL(
                """
                SELECT %s AS res_model_id, id AS res_id, TRUE AS is_active
                  FROM mail_message
                 WHERE model IN ('crm.lead', 'res.partner')
                   AND mail_activity_type_id IS NOT NULL
                   AND body ~* %s
                """,
                models_._get_id("mail.message"),
                words.whole,
            )
        )
        return SQL(" UNION ").join(parts)

    # -------------------------------------------------------------------------
    # Export
    # -------------------------------------------------------------------------

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

    # -------------------------------------------------------------------------
    # Erasing
    # -------------------------------------------------------------------------

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
                _join_columns(names, records._table),
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


class KeyAccountVisit(models.Model):
    _inherit = "key.account.visit"

    def _get_attached_domain(self, model_field):
        """Return the domain on messages or files of the visits."""
        return Domain(model_field, "=", self._name) & Domain("res_id", "in", self.ids)


def _join_columns(names, alias):
    columns = [SQL("%s.%s", SQL.identifier(alias), SQL.identifier(n)) for n in names]
    return SQL("CONCAT_WS(' ', %s)", SQL(", ").join(columns))


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


# ---------------------------------------------------------------------------
# What core's look-up does beside
# ---------------------------------------------------------------------------
def _extend(cls, name, extend):
    """Put a function around a method of a class of the registry, once."""
    method = getattr(cls, name)
    if not getattr(method, "is_key_account", False):
        extended = wraps(method)(extend(method))
        extended.is_key_account = True
        setattr(cls, name, extended)


def _find_more(get_query):
    def _get_query(self):
        query = get_query(self)
        return self.env["key.account.privacy"]._add_to_query(
            query, self.name, self.email
        )

    return _get_query


def _erase_instead(unlink):
    def action_unlink(self):
        self.ensure_one()
        if self.env["key.account.privacy"]._erase_line(self):
            return None
        return unlink(self)

    return action_unlink
