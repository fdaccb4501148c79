import {Component, useRef, useState} from "@odoo/owl";
import {deserializeDate, toLocaleDateString} from "@web/core/l10n/dates";
import {useOwnedDialogs, useService} from "@web/core/utils/hooks";
import {FormViewDialog} from "@web/views/view_dialogs/form_view_dialog";
import {_t} from "@web/core/l10n/translation";
import {formatList} from "@web/core/l10n/utils";
import {formatPercentage} from "@web/views/fields/formatters";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";
import {useRecordObserver} from "@web/model/relational_model/utils";
import {useSortable} from "@web/core/utils/sortable_owl";

const CONTACT_FORM = "crm_key_account.res_partner_view_form_buying_center";
const SPONSOR_FORM = "crm_key_account.res_partner_view_form_sponsor";
const STANCE_BADGES = {
    champion: "text-bg-success",
    supporter: "text-bg-info",
    neutral: "text-bg-secondary",
    opponent: "text-bg-danger",
};

/**
 * The buying centre of a customer: its contacts by role (columns) and level (rows).
 *
 * The field's own value isn't used: the map is read by one call, and only when its
 * notebook page is open, so that the form doesn't get slower.
 */
export class BuyingCenterField extends Component {
    static template = "crm_key_account.BuyingCenterField";
    static props = {...standardFieldProps};

    setup() {
        this.stanceBadges = STANCE_BADGES;
        this.orm = useService("orm");
        this.action = useService("action");
        this.ui = useState(useService("ui"));
        this.addDialog = useOwnedDialogs();
        this.state = useState({data: null});
        this.requestId = 0;

        useRecordObserver((record) => {
            // Saving the form may have changed the contacts
            const isSaved = this.isDirty && !record.dirty;
            this.isDirty = record.dirty;
            if (isSaved || this.resId !== record.resId) {
                this.resId = record.resId;
                return this.load();
            }
        });

        useSortable({
            ref: useRef("root"),
            // On a phone, a contact is moved in its dialog
            enable: () => this.canEdit && !this.ui.isSmall,
            elements: ".o_buying_center_card",
            groups: ".o_buying_center_group",
            connectGroups: true,
            cursor: "grabbing",
            onGroupEnter: ({addClass, group}) => addClass(group, "o_hover"),
            onGroupLeave: ({removeClass, group}) => removeClass(group, "o_hover"),
            onDrop: ({element, group, parent}) => {
                if (parent !== group) {
                    this.move(element.dataset, group.dataset, parent.dataset);
                }
            },
        });
    }

    async load() {
        const requestId = ++this.requestId;
        let data = null;
        try {
            if (this.resId) {
                const args = [[this.resId]];
                data = await this.orm.call("res.partner", "get_buying_center", args);
            }
        } catch (error) {
            // Unhandled, so that it is shown; thrown, it would take the form down
            Promise.reject(error);
        }
        if (requestId === this.requestId) {
            this.state.data = data;
        }
    }

    // What the template shows

    get data() {
        return this.state.data;
    }

    get canEdit() {
        return Boolean(this.data?.can_edit) && !this.props.readonly;
    }

    get coverage() {
        return formatPercentage(this.data.coverage / 100, {digits: [false, 0]});
    }

    get singleThreaded() {
        const {contact_count, rep_count} = this.data;
        const contacts =
            contact_count === 1 ? _t("1 contact") : _t("%s contacts", contact_count);
        const colleagues =
            rep_count === 1 ? _t("1 colleague") : _t("%s colleagues", rep_count);
        return _t("Single-threaded: %(contacts)s, %(colleagues)s", {
            contacts,
            colleagues,
        });
    }

    get left() {
        return this.data.contacts.filter((contact) => contact.has_left);
    }

    get unplaced() {
        return this.data.contacts.filter(
            (contact) =>
                !contact.has_left && !(contact.level && this.getRoles(contact).length)
        );
    }

    /** The roles of a contact that have a column: not the archived ones. */
    getRoles(contact) {
        return this.data.roles.filter((role) => contact.role_ids.includes(role.id));
    }

    getContacts(role, level) {
        return this.data.contacts.filter(
            (contact) =>
                !contact.has_left &&
                contact.level === level.id &&
                contact.role_ids.includes(role.id)
        );
    }

    /** What is known of the place of a contact that stands in no cell. */
    getPlace(contact) {
        const level = this.data.levels.find(({id}) => id === contact.level);
        return formatList(
            [...this.getRoles(contact), level].filter(Boolean).map(({name}) => name)
        );
    }

    /** The requirement of a cell; of a whole column or row if level or role is false. */
    getRequirement(roleId, level) {
        return this.data.required.find(
            (requirement) =>
                requirement.role_id === roleId && requirement.level === level
        );
    }

    getRequirementHint({covered}) {
        const months = this.data.period_months;
        const period =
            months === 1 ? _t("the last month") : _t("the last %s months", months);
        return covered
            ? _t("Covered: somebody was met here in %s", period)
            : _t("Required: somebody met here in %s", period);
    }

    isGap(role, level) {
        return this.getRequirement(role.id, level.id)?.covered === false;
    }

    getEmptyRoles(level) {
        return this.data.roles.filter(
            (role) => !this.getContacts(role, level).length && !this.isGap(role, level)
        );
    }

    getTitle(contact) {
        const stance = contact.stance ? contact.stance_name : _t("Stance unknown");
        return [contact.name, contact.function, stance].filter(Boolean).join("\n");
    }

    getLastMet({last_met}) {
        if (!this.data.is_own) {
            // Who met whom at a colleague's customer isn't ours to see
            return "";
        }
        return last_met
            ? _t("met %s", toLocaleDateString(deserializeDate(last_met)))
            : _t("never met");
    }

    // What the user does

    async move(card, from, to) {
        const contactId = parseInt(card.id);
        const fromRole = parseInt(from.roleId) || false;
        const toRole = parseInt(to.roleId) || false;
        const level = to.level || false;
        // Show the card in its new place at once; the server's answer has the last word
        const contact = this.data.contacts.find(({id}) => id === contactId);
        const others = contact.role_ids.filter(
            (id) => id !== fromRole && id !== toRole
        );
        contact.role_ids = toRole ? [...others, toRole] : others;
        contact.level = level || contact.level;
        const args = [[contactId], fromRole, toRole, level];
        try {
            await this.orm.call("res.partner", "move_in_buying_center", args);
        } finally {
            await this.load();
        }
    }

    openForm(title, resId, context) {
        this.addDialog(FormViewDialog, {
            resModel: "res.partner",
            resId,
            title,
            context,
            readonly: !this.canEdit,
            onRecordSaved: async () => {
                await this.load();
                // The form shows the contacts in its other pages too
                const {record} = this.props;
                if (!(await record.isDirty())) {
                    await record.load();
                }
            },
        });
    }

    openContact({id, name}) {
        this.openForm(name, id, {form_view_ref: CONTACT_FORM});
    }

    addContact(role, level) {
        this.openForm(_t("New Contact"), false, {
            form_view_ref: CONTACT_FORM,
            default_parent_id: this.data.account.id,
            default_type: "contact",
            default_is_company: false,
            ...(role && {
                default_buying_role_ids: [[6, 0, [role.id]]],
                default_decision_level: level.id,
            }),
        });
    }

    editSponsor() {
        const {id, name} = this.data.account;
        this.openForm(name, id, {form_view_ref: SPONSOR_FORM});
    }

    async openList() {
        const args = [[this.data.account.id]];
        this.action.doAction(
            await this.orm.call("res.partner", "action_view_buying_center", args)
        );
    }
}

export const buyingCenterField = {
    component: BuyingCenterField,
    supportedTypes: ["one2many"],
};

registry.category("fields").add("key_account_buying_center", buyingCenterField);
