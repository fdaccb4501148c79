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
            trigger: ".o_field_widget[name=summary]:contains('Key account, weekly')",
        },
        {
            trigger: ".o_form_view button[name=action_done]",
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

registry.category("web_tour.tours").add("key_account_rep_phone", {
    steps: () => [
        {
            content: "A card, not a table",
            trigger: ".o_kanban_record:contains('Tour Customer'):contains('weekly')",
        },
        {
            content: "Done with one tap",
            trigger: ".o_kanban_record:contains('Tour Customer') a[name=action_done]",
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
            content: "Look first",
            trigger: "button[name=action_preview]",
            run: "click",
        },
        {
            trigger:
                ".modal .o_data_row:contains('Second Customer'):contains('Ordinary')",
        },
        {
            trigger: ".modal button[name=action_run]",
            run: "click",
        },
        {
            trigger: ".o_notification:contains('1 accounts moved')",
        },
        {
            content: "See the accounts",
            trigger:
                ".o_nav_entry:contains('Key Accounts'), .o_menu_sections .dropdown-item:contains('Key Accounts'), .o_menu_sections a:contains('Key Accounts')",
            run: "click",
        },
        {
            content: "The account has moved",
            trigger:
                ".o_data_row:contains('Second Customer') [name=tier_id]:contains('Ordinary')",
        },
        {
            content: "The best one has stayed",
            trigger:
                ".o_data_row:contains('First Customer') [name=tier_id]:contains('Key account')",
        },
    ],
});
