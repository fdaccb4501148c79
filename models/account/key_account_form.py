from collections import defaultdict

from odoo import api, models
from odoo.fields import Command

from . import bounds


def check_named(records, values_list, ours_alone=False):
    """Refuse what a client names without the right to read it: what is computed or
    shown of it would tell about it. One check per model that is named.

    What the records name already is theirs to show, whoever may read it.

    :param records: those that the values are for, empty for new ones
    :param values_list: dicts by field name, as clients send them to forms, ``create``
        and ``write``; nested in those of lines
    :param bool ours_alone: only records of ours, and what lines of ours name: on a form
        of Odoo's own
    :raise AccessError: if the user may not read one of them
    :raise UserError: if one is no id
    """
    if records.env.su:
        return
    named = defaultdict(set)
    for values in values_list:
        _collect_named(records, values, named, ours_alone)
    for model, ids in named.items():
        records.env[model].browse(ids).check_access("read")


def _collect_named(records, values, named, ours_alone):
    """Add to ``named`` the ids by model that ``values`` name newly."""
    for name, value in values.items():
        field = records._fields.get(name)
        if not value or field is None or not field.relational:
            continue
        comodel = records.env[field.comodel_name]
        is_left_out = ours_alone and not field.comodel_name.startswith("key.account")
        ids, lines = _split_value(value)
        if is_left_out:
            ids = ()
        elif field.type == "many2one":
            is_shown = isinstance(value, dict)
            bounds.to_record(comodel, value.get("id") if is_shown else value)
        ids = {id_ for id_ in ids if _is_id(id_)}
        if ids and records:
            ids.difference_update(records.sudo()[name].ids)
        if ids:
            named[field.comodel_name] |= ids
        for id_, line in lines:
            if isinstance(line, dict):
                line_ids = id_ if _is_id(id_) else ()
                _collect_named(comodel.browse(line_ids), line, named, is_left_out)


def _split_value(value):
    """Return the ids in the value of a relational field, and ``(id, values)`` of what
    it creates or changes."""
    if isinstance(value, dict):
        return [value.get("id")], [(value.get("id"), value)]
    if not isinstance(value, (list, tuple)):
        return [value], []
    ids, lines = [], []
    for command in value:
        if not isinstance(command, (list, tuple)):
            ids.append(command)
            continue
        # what is no command at all, core refuses
        kind, id_, values = (*command, None, None, None)[:3]
        if kind != Command.SET:
            ids.append(id_)
        elif isinstance(values, (list, tuple)):
            ids += values
        if kind in (Command.CREATE, Command.UPDATE):
            lines.append((id_, values))
    return ids, lines


def _is_id(value):
    return type(value) is int and value > 0


class KeyAccountForm(models.AbstractModel):
    """Who writes here by a form or over RPC names only what they may read: customers,
    visits, leads, companies, colleagues. One check for the form's ``onchange``, its
    defaults, ``create`` and ``write``."""

    _name = "key.account.form"
    _inherit = "key.account.shown"
    _description = "Form of Key Accounts"

    @api.model
    def default_get(self, fields):
        # of a client's context, or what the user keeps as a default
        defaults = super().default_get(fields)
        check_named(self.browse(), [defaults])
        return defaults

    def onchange(self, values, field_names, fields_spec):
        check_named(self, [values])
        if not self:
            # Also those that the form doesn't show: as superuser, nobody would ask.
            self.default_get([n for n, f in self._fields.items() if f.relational])
        return super().onchange(values, field_names, fields_spec)

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            # before anything is computed of them
            bounds.check_values(self, vals_list)
        check_named(self.browse(), vals_list)
        return super().create(vals_list)

    def write(self, vals):
        if not self.env.su:
            bounds.check_values(self, [vals])
        check_named(self, [vals])
        return super().write(vals)


class KeyAccountNamed(models.AbstractModel):
    """Forms of Odoo's own that have fields for records of ours: Odoo shows the name of
    whatever a form names, and what is computed of it, to anybody. It does so for what
    is saved there, too: what isn't stored stays as it was named until it is read."""

    _name = "key.account.named"
    _description = "Form That Names Key Accounts"

    @api.model
    def default_get(self, fields):
        defaults = super().default_get(fields)
        check_named(self.browse(), [defaults], ours_alone=True)
        return defaults

    def onchange(self, values, field_names, fields_spec):
        check_named(self, [values], ours_alone=True)
        return super().onchange(values, field_names, fields_spec)

    @api.model_create_multi
    def create(self, vals_list):
        check_named(self.browse(), vals_list, ours_alone=True)
        return super().create(vals_list)

    def write(self, vals):
        check_named(self, [vals], ours_alone=True)
        return super().write(vals)
