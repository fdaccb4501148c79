import {Component, useEffect, useRef, xml} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

/**
 * The brief of a visit. Odoo's own widget would open its links in new tabs, also those
 * to customers and phone numbers.
 */
export class BriefField extends Component {
    static template = xml`
        <div class="o_key_account_brief" t-ref="brief" t-out="brief"/>
    `;
    static props = {...standardFieldProps};

    setup() {
        const ref = useRef("brief");
        // A phone shows sums, a desk everything.
        useEffect(
            () => {
                for (const details of ref.el.querySelectorAll("details")) {
                    details.open = !this.env.isSmall;
                }
            },
            () => [String(this.brief)]
        );
    }

    get brief() {
        return this.props.record.data[this.props.name];
    }
}

registry.category("fields").add("key_account_brief", {
    component: BriefField,
    supportedTypes: ["html"],
});
