import {Component, useRef, useState} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";
import {useBus, useService} from "@web/core/utils/hooks";
import {useRecordObserver} from "@web/model/relational_model/utils";

// More than these are shown on demand: a phone has room for so many
const SHOWN = 12;
// The report asks for a name that was typed and not added yet
export const ADD_TYPED = "KEY_ACCOUNT:ADD_TYPED";

/**
 * The contact persons of a customer as buttons: a tap says that one was met.
 *
 * They are read by one call when the report opens, or when its customer or company
 * changes.
 */
export class ContactChipsField extends Component {
    static template = "crm_key_account.ContactChipsField";
    static props = {
        ...standardFieldProps,
        accountField: {type: String},
        nobodyField: {type: String, optional: true},
    };

    setup() {
        this.orm = useService("orm");
        this.newName = useRef("newName");
        this.state = useState({
            contacts: [],
            canCreate: false,
            isLoaded: false,
            isAdding: false,
            showAll: false,
        });
        this.requestId = 0;
        useBus(this.props.record.model.bus, ADD_TYPED, ({detail}) => {
            if (this.state.isAdding) {
                detail.push(this.add());
            }
        });
        useRecordObserver((record) => {
            const accountId = record.data[this.props.accountField]?.id || false;
            const companyId = record.data.company_id?.id || false;
            if (accountId !== this.accountId || companyId !== this.companyId) {
                this.accountId = accountId;
                this.companyId = companyId;
                return this.load();
            }
        });
    }

    async load() {
        const requestId = ++this.requestId;
        let data = {contacts: [], can_create: false};
        try {
            if (this.accountId) {
                data = await this.orm.call("key.account.visit", "get_report_contacts", [
                    this.accountId,
                    this.companyId,
                ]);
            }
        } catch (error) {
            // Unhandled, so that it is shown; thrown, it would take the form down
            Promise.reject(error);
        }
        if (requestId === this.requestId) {
            this.state.contacts = data.contacts;
            this.state.canCreate = data.can_create;
            this.state.isLoaded = true;
        }
    }

    get list() {
        return this.props.record.data[this.props.name];
    }

    /** All contacts; whoever was met and has left since is still named. */
    get all() {
        const known = new Set(this.state.contacts.map(({id}) => id));
        const others = this.list.records
            .filter(({resId}) => !known.has(resId))
            .map(({resId, data}) => ({
                id: resId,
                name: data.display_name,
                place: "",
            }));
        return [...this.state.contacts, ...others];
    }

    get shown() {
        if (this.state.showAll) {
            return this.all;
        }
        return this.all.filter(
            (contact, index) => index < SHOWN || this.isMet(contact)
        );
    }

    get moreLabel() {
        return _t("%s more", this.all.length - this.shown.length);
    }

    isMet({id}) {
        return this.list.currentIds.includes(id);
    }

    get isNobody() {
        const {nobodyField, record} = this.props;
        return Boolean(nobodyField) && record.data[nobodyField];
    }

    /** The second tap of a double one says the same as the first. */
    onTap(ev, step) {
        return ev.detail > 1 ? undefined : step();
    }

    async toggle(contact) {
        if (this.isNobody) {
            await this.props.record.update({[this.props.nobodyField]: false});
        }
        return this.list.addAndRemove(
            this.isMet(contact)
                ? {add: [], remove: [contact.id]}
                : {add: [contact.id], remove: []}
        );
    }

    /** Nobody was there: then no contact was met either. */
    async toggleNobody() {
        const isNobody = !this.isNobody;
        if (isNobody && this.list.currentIds.length) {
            await this.list.addAndRemove({add: [], remove: [...this.list.currentIds]});
        }
        return this.props.record.update({[this.props.nobodyField]: isNobody});
    }

    startAdding() {
        this.state.isAdding = true;
    }

    onKeydown(ev) {
        if (ev.key === "Enter") {
            // Not the dialog's default button
            ev.preventDefault();
            ev.stopPropagation();
            return this.add();
        }
        if (ev.key === "Escape") {
            ev.stopPropagation();
            this.state.isAdding = false;
        }
    }

    /** A second tap, while the first one is under way, adds nobody. */
    add() {
        this.adding ??= this.addContact().finally(() => {
            this.adding = null;
        });
        return this.adding;
    }

    async addContact() {
        const name = this.newName.el?.value.trim();
        if (!name) {
            this.state.isAdding = false;
            return;
        }
        const known = this.all.find(
            (contact) => contact.name.toLowerCase() === name.toLowerCase()
        );
        if (known) {
            this.state.isAdding = false;
            return this.isMet(known) ? undefined : this.toggle(known);
        }
        const [id] = await this.orm.create(
            "res.partner",
            [{name, type: "contact", is_company: false}],
            // Of a customer that is named as a default, as on its form, Odoo takes the
            // company too: not for the eyes of other companies
            {context: {default_parent_id: this.accountId}}
        );
        this.state.contacts.push({id, name, place: ""});
        this.state.isAdding = false;
        await this.toggle({id});
    }
}

export const contactChipsField = {
    component: ContactChipsField,
    displayName: _t("Contacts as Buttons"),
    supportedTypes: ["many2many"],
    relatedFields: [{name: "display_name", type: "char"}],
    isEmpty: () => false,
    extractProps: ({options}) => ({
        accountField: options.account_field,
        nobodyField: options.nobody_field,
    }),
};

registry.category("fields").add("key_account_contact_chips", contactChipsField);
