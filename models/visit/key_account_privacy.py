"""What is held about a person, and how Odoo's privacy look-up finds it."""

import re
from functools import wraps

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

# Core's look-up, see _register_hook
WIZARD, WIZARD_LINE = "privacy.lookup.wizard", "privacy.lookup.wizard.line"
VISIT = "key.account.visit"
# Matches nothing: no word begins within one.
NOTHING = r"x\mx"
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

    Finding is here; beside it :mod:`.key_account_privacy_export` and
    :mod:`.key_account_privacy_erase`.
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
            text = join_columns(names, "held")
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
                    join_columns(LOGGED_VALUES, "value"),
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


class KeyAccountVisit(models.Model):
    _inherit = "key.account.visit"

    def _get_attached_domain(self, model_field):
        """Return the domain on messages or files of the visits."""
        return Domain(model_field, "=", self._name) & Domain("res_id", "in", self.ids)


def join_columns(names, alias):
    columns = [SQL("%s.%s", SQL.identifier(alias), SQL.identifier(n)) for n in names]
    return SQL("CONCAT_WS(' ', %s)", SQL(", ").join(columns))


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
