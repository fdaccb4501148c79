import {registry} from "@web/core/registry";

const openVisits = [
    {
        content: "The rep's planned visits are listed",
        trigger:
            ".o_list_view .o_data_row:contains('Tour Customer'):contains('weekly')",
    },
];

registry.category("web_tour.tours").add("key_account_rep", {
    steps: () => [
        ...openVisits,
        {
            content: "Only visits of the rep",
            trigger:
                ".o_list_view:not(:has(.o_data_row:contains('Colleague Customer')))",
        },
        {
            content: "Open Monday's visit",
            trigger: ".o_data_row:contains('Tour Customer') td[name=name]",
            run: "click",
        },
        {
            content: "Why, in words",
            trigger: ".o_key_account_brief:contains('Key account, weekly')",
        },
        {
            trigger: ".o_form_view button[name=action_done]",
            run: "click",
        },
        {
            content: "There is no way back: it asks",
            trigger:
                ".modal:contains('the next one is planned') .btn-primary:contains('Mark Done')",
            run: "click",
        },
        {
            content: "The visit is done",
            trigger: ".o_arrow_button_current[data-value=done]",
        },
        {
            content: "Back to the list",
            trigger: ".o_back_button, .breadcrumb-item a",
            run: "click",
        },
        {
            content: "The next visit is there",
            trigger:
                ".o_list_view .o_data_row:contains('Tour Customer'):contains('last visit')",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_substitute", {
    steps: () => [
        ...openVisits,
        {
            content: "The menu beside the title",
            trigger: ".o_cp_action_menus .dropdown-toggle",
            run: "click",
        },
        {
            trigger: ".o_key_account_substitute_menu:contains('Substitute')",
            run: "click",
        },
        {
            content: "Who is away is whoever asks",
            trigger: ".modal .o_field_widget[name=substitute_id]",
        },
        {
            trigger: ".modal footer button:contains('Discard'):visible",
            run: "click",
        },
        {
            trigger: "body:not(:has(.modal))",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_rep_phone", {
    steps: () => [
        {
            content: "A card, not a table",
            trigger: ".o_kanban_record:contains('Tour Customer'):contains('weekly')",
        },
        {
            content: "Done with a tap on the card",
            trigger: ".o_kanban_record:contains('Tour Customer') a[name=action_done]",
            run: "click",
        },
        {
            content: "There is no way back: it asks",
            trigger:
                ".modal:contains('the next one is planned') .btn-primary:contains('Mark Done')",
            run: "click",
        },
        {
            content: "The next visit is there",
            trigger:
                ".o_kanban_record:contains('Tour Customer'):contains('last visit')",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_admin", {
    steps: () => [
        {
            content: "Open the policy",
            trigger: ".o_data_row:contains('Test pareto') td[name=name]",
            run: "click",
        },
        {
            content: "Edit the share of the best tier",
            trigger:
                ".o_field_widget[name=tier_ids] .o_data_row:contains('Key account') td[name=share]",
            run: "click",
        },
        {
            trigger:
                ".o_field_widget[name=tier_ids] .o_selected_row div[name=share] input",
            run: "edit 50 && press Tab",
        },
        {
            content: "Look first, without saving",
            trigger: ".o_form_view button[name=action_preview]",
            run: "click",
        },
        {
            trigger:
                ".modal [name=line_ids] .o_data_row:contains('Second Customer'):contains('Ordinary')",
        },
        {
            content: "A list that filters and exports",
            trigger: ".modal button[name=action_view_moves]",
            run: "click",
        },
        {
            trigger:
                ".modal .o_list_view:has(.o_searchview) .o_data_row:contains('Second Customer'):contains('Down')",
        },
        {
            content: "The menu that exports",
            trigger: ".modal .o_cp_action_menus button:has(.fa-cog):visible",
        },
        {
            trigger: ".modal button[name=action_back]",
            run: "click",
        },
        {
            content: "The pyramid",
            trigger: ".modal .nav-link[name=tiers]",
            run: "click",
        },
        {
            trigger: ".modal [name=tier_ids] .o_data_row:contains('Key account')",
        },
        {
            content: "Nothing is saved so far",
            trigger: ".modal:contains('isn\'t saved')",
        },
        {
            trigger: ".modal button[name=action_run]:contains('Save and Run')",
            run: "click",
        },
        {
            trigger: ".o_notification:contains('1 account moved')",
        },
        {
            content: "It was a mistake",
            trigger: ".o_form_view button[name=action_open_undo]",
            run: "click",
        },
        {
            trigger: ".modal div[name=reason] input",
            run: "edit The margin was missing && press Tab",
        },
        {
            trigger: ".modal button[name=action_undo]",
            run: "click",
        },
        {
            trigger: ".o_notification:contains('they came from: 1')",
        },
        {
            content: "See the accounts",
            trigger:
                ".o_nav_entry:contains('Accounts'), .o_menu_sections .dropdown-item:contains('Accounts'), .o_menu_sections a:contains('Accounts')",
            run: "click",
        },
        {
            content: "The account is back",
            trigger:
                ".o_data_row:contains('Second Customer') [name=tier_id]:contains('Key account')",
        },
        {
            content: "The best one has stayed",
            trigger:
                ".o_data_row:contains('First Customer') [name=tier_id]:contains('Key account')",
        },
    ],
});

const openKeyAccountPage = [
    {
        content: "The key-account page of the customer",
        trigger: ".o_form_view .nav-link[name=key_account]",
        run: "click",
    },
];

registry.category("web_tour.tours").add("key_account_ladder_rep", {
    steps: () => [
        ...openKeyAccountPage,
        {
            content: "Transactional so far",
            trigger:
                ".o_field_widget[name=relationship_level] .o_arrow_button_current[data-value=transactional]",
        },
        {
            content: "What is missing, by name",
            trigger:
                ".o_field_widget[name=relationship_gap_text]:contains('Executives in contact')",
        },
        {
            trigger: "button[name=action_view_relationship_evidence]",
            run: "click",
        },
        {
            content: "Record evidence",
            trigger:
                ".o_data_row:contains('Executives in contact') button[name=action_confirm]",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=note] textarea",
            run: "edit Our managing directors had dinner",
        },
        {
            trigger: ".modal .o_form_button_save",
            run: "click",
        },
        {
            content: "It holds at once",
            trigger: ".o_data_row:contains('Executives in contact'):contains('Holds')",
        },
        {
            content: "Back to the customer",
            trigger: ".o_back_button, .breadcrumb-item:last a",
            run: "click",
        },
        ...openKeyAccountPage,
        {
            content: "The evidence supports more",
            trigger:
                ".o_field_widget[name=suggested_relationship_level]:contains('Partner')",
        },
        {
            trigger: "button[name=action_change_relationship_level]",
            run: "click",
        },
        {
            content: "Partner is chosen, and will be a proposal",
            trigger: ".modal .alert-info:contains('proposed')",
        },
        {
            trigger: ".modal .o_field_widget[name=reason] input",
            run: "edit Framework contract signed",
        },
        {
            trigger: ".modal button[name=action_set]:visible:contains('Propose')",
            run: "click",
        },
        {
            trigger: "body:not(:has(.modal))",
        },
        {
            content: "Nothing has moved yet",
            trigger:
                ".o_field_widget[name=relationship_level] .o_arrow_button_current[data-value=transactional]",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_ladder_manager", {
    steps: () => [
        {
            content: "The proposal is in the queue",
            trigger:
                ".o_data_row:contains('Tour Customer'):contains('Framework contract') button[name=action_open_apply]",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=note] input",
            run: "edit Seen it myself",
        },
        {
            trigger: ".modal button[name=action_decide]:visible",
            run: "click",
        },
        {
            content: "Nothing left to decide",
            trigger: ".o_list_view:not(:has(.o_data_row:contains('Tour Customer')))",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_ladder_moved", {
    steps: () => [
        ...openKeyAccountPage,
        {
            content: "The ladder has moved",
            trigger:
                ".o_field_widget[name=relationship_level] .o_arrow_button_current[data-value=partner]",
        },
        {
            content: "What has no room in the button box",
            trigger: ".o-form-buttonbox .o_button_more",
            run: "click",
        },
        {
            content: "The executive visit is planned",
            trigger: "button[name=action_view_key_account_visits]",
            run: "click",
        },
        {
            trigger: ".o_data_row:contains('ka_leader'):contains('monthly')",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_report_phone", {
    steps: () => [
        {
            content: "My day: the customer, and none of a colleague's",
            trigger:
                ".o_kanban_view:not(:has(.o_kanban_record:contains('Colleague Customer')))",
        },
        {
            content: "Open the card",
            trigger: ".o_kanban_record:contains('Tour Customer'):contains('weekly')",
            run: "click",
        },
        {
            content: "Why, in words",
            trigger: ".o_key_account_brief:contains('Key account, weekly')",
        },
        {
            content: "Whom",
            trigger:
                ".o_key_account_brief section[name=people]:contains('Tour Contact')",
        },
        {
            trigger: ".o_form_view button[name=action_open_report]:visible",
            run: "click",
        },
        {
            content: "Too early: the server says what is missing",
            trigger: ".modal button[name=action_report]:visible",
            run: "click",
        },
        {
            trigger: ".modal:contains('Please say: whom you met')",
        },
        {
            trigger: ".modal:contains('Please say') .btn-primary",
            run: "click",
        },
        {
            content: "Whom",
            trigger: ".modal .o_contact_chip:contains('Tour Contact')",
            run: "click",
        },
        {
            trigger: ".modal .o_contact_chip.active:contains('Tour Contact')",
        },
        {
            content: "Somebody whom nobody knew",
            trigger: ".modal .o_contact_chips_add",
            run: "click",
        },
        {
            trigger: ".modal .o_contact_chips_new input",
            run: "edit Tour Stranger",
        },
        {
            trigger: ".modal .o_contact_chips_new .btn-primary",
            run: "click",
        },
        {
            trigger: ".modal .o_contact_chip.active:contains('Tour Stranger')",
        },
        {
            content: "How",
            trigger: ".modal .o_field_widget[name=mode] :contains('Online'):last",
            run: "click",
        },
        {
            content: "Reached",
            trigger: ".modal .o_field_widget[name=outcome] :contains('So-so'):last",
            run: "click",
        },
        {
            content: "What next",
            trigger: ".modal .o_field_widget[name=next_step] input",
            run: "edit Send the offer",
        },
        {
            trigger: ".modal button[name=action_report]:visible",
            run: "click",
        },
        {
            trigger: "body:not(:has(.modal))",
        },
        {
            content: "The visit is reported",
            trigger:
                ".o_form_view .o_field_widget[name=next_step]:contains('Send the offer')",
        },
        {
            content: "The next visit is one tap away",
            trigger: ".o_notification:contains('Next visit') a",
            // A tour can't follow into another tab
            run: ({anchor}) => {
                anchor.target = "";
                anchor.click();
            },
        },
        {
            content: "It is planned, with its own reason",
            trigger: ".o_form_view .o_key_account_brief:contains('last visit')",
        },
        {
            trigger: ".o_form_view .o_statusbar_status :contains('Planned')",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_log_phone", {
    steps: () => [
        ...openKeyAccountPage,
        {
            trigger: ".o-form-buttonbox .o_button_more",
            run: "click",
        },
        {
            content: "One tap",
            trigger: "button[name=action_log_key_account_visit]:visible",
            run: "click",
        },
        {
            content: "And another",
            trigger: ".modal button[name=action_report_later]:visible",
            run: "click",
        },
        {
            trigger: ".o_notification:contains('waits for its report')",
        },
        {
            trigger: "body:not(:has(.modal))",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_my_day", {
    steps: () => [
        {
            content: "Today's customer",
            trigger: ".o_kanban_record:contains('Kestrel')",
            run: "click",
        },
        {
            content: "The brief is there, above the fields",
            trigger:
                ".o_form_view .o_key_account_brief section[name=people]:contains('Ann Lee')",
        },
        {
            content: "On a phone, lists are closed until they are tapped",
            trigger:
                ".o_key_account_brief details:not([open]):contains('Quotations') summary",
            run: "click",
        },
        {
            content: "The quotation opens in this tab",
            trigger: ".o_key_account_brief details[open] a[href^='/odoo/sale.order/']",
            run: "click",
        },
        {
            trigger: ".o_form_view .o_field_widget[name=order_line]",
        },
    ],
});
