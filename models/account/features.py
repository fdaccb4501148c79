"""What a company doesn't use isn't there: the switches of the settings.

A switch is a group that sales implies, as Odoo's own are. Views and menus name the
group; what computes or reads for a screen asks :func:`is_used`. It gives no rights, and
nothing is deleted by switching off.
"""

#: levels, criteria, evidence, proposals
EVIDENCE = "crm_key_account.group_use_relationship_evidence"
#: buying roles, the map, required contacts, coverage, the visit checklist
BUYING_CENTER = "crm_key_account.group_use_buying_center"
#: seniority, accounts to assign, the next visit hour
ASSIGNMENT = "crm_key_account.group_use_account_assignment"
SWITCHES = (EVIDENCE, BUYING_CENTER, ASSIGNMENT)
# What a field's description says it can be used for
OFFERED = {"aggregator", "exportable", "groupable", "searchable", "sortable"}


def is_used(env, switch):
    """Return whether the database uses it, whoever asks: at night nobody's groups
    count. No query once the groups are known."""
    return env["res.groups"]._is_feature_enabled(switch)


def get_used(env, switches=SWITCHES):
    """Return those of ``switches`` that the database uses, in their order."""
    return [switch for switch in switches if is_used(env, switch)]


def hide(env, descriptions, names_by_switch):
    """Take the fields of what isn't used out of what people can search, group, measure
    and export by: they stay readable.

    :param dict descriptions: as ``fields_get`` returns them, changed in place
    :param dict names_by_switch: {switch: names of its fields}
    :return: ``descriptions``
    """
    for switch, names in names_by_switch.items():
        if not is_used(env, switch):
            for name in names & descriptions.keys():
                description = descriptions[name]
                description.update(dict.fromkeys(OFFERED & description.keys(), False))
    return descriptions
