"""Names that are in a list once."""

from odoo.exceptions import ValidationError
from odoo.fields import Domain


def check_names(records):
    """Refuse names that the list has already in one of the languages, however they are
    written: capitals and blanks make no other name. Those that are there twice stay
    until one is named anew.

    :raise ValidationError: if there is one
    """
    env = records.env
    # sudo: a list is the same for everybody; few records
    model = records.sudo().with_context(active_test=False)
    langs = [code for code, _name in env["res.lang"].get_installed()]
    for lang in sorted(langs, key=lambda code: code != env.lang):
        known = model.with_context(lang=lang)
        by_name = known.search(Domain.TRUE).grouped(lambda other: _get_key(other.name))
        for record in known.browse(records.ids):
            others = by_name[_get_key(record.name)] - record
            if not others:
                continue
            if all(others.mapped("active")):
                raise ValidationError(
                    env._(
                        "“%s” is in the list already: choose another name.",
                        others[0].name,
                    )
                )
            raise ValidationError(
                env._(
                    "“%s” is in the list already, archived: restore it, or choose "
                    "another name.",
                    others[0].name,
                )
            )


def copy_names(records, vals_list, default=None):
    """Return the values of copies, with names of their own.

    :param dict default: the values that the copies are to have
    """
    if "name" not in (default or {}):
        for record, vals in zip(records, vals_list, strict=True):
            vals["name"] = records.env._("%s (copy)", record.name)
    return vals_list


def _get_key(name):
    return " ".join((name or "").split()).casefold()
