import { createRouter, createWebHistory } from "vue-router";
import { part, parts } from "./parts";
import { shiftIsOn, takesCalls } from "@/session/session";

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    { path: "/", redirect: "/desk" },
    { path: "/shift", name: "shift", component: () => part(() => import("@/shift/ShiftPage.vue")) },
    { path: "/desk", name: "desk", component: parts.deskPage },
    {
      path: "/calls",
      name: "calls",
      component: () => part(() => import("@/interactions/HistoryPage.vue")),
    },
    {
      path: "/calls/:id",
      name: "call",
      component: () => part(() => import("@/interactions/InteractionPage.vue")),
      props: true,
    },
    {
      path: "/recordings",
      name: "recordings",
      component: () => part(() => import("@/recordings/RecordingsPage.vue")),
    },
    {
      path: "/moments/:token",
      name: "moment",
      component: () => part(() => import("@/interactions/MomentPage.vue")),
      props: true,
    },
    {
      path: "/customers",
      name: "customers",
      component: () => part(() => import("@/customers/CustomersPage.vue")),
    },
    {
      path: "/customers/:id",
      name: "customer",
      component: () => part(() => import("@/customers/CustomerPage.vue")),
      props: true,
    },
    {
      path: "/complaints",
      name: "complaints",
      component: () => part(() => import("@/complaints/ComplaintsPage.vue")),
    },
    {
      path: "/complaints/:id",
      name: "complaint",
      component: () => part(() => import("@/complaints/ComplaintPage.vue")),
      props: true,
    },
    {
      path: "/search",
      name: "search",
      component: () => part(() => import("@/search/SearchPage.vue")),
    },
    {
      path: "/phrases",
      name: "phrases",
      component: () => part(() => import("@/phrases/PhrasesPage.vue")),
    },
    {
      path: "/quality",
      name: "quality",
      component: () => part(() => import("@/quality/QualityPage.vue")),
    },
    {
      path: "/quality/scorecards/:id",
      name: "scorecard",
      component: () => part(() => import("@/quality/ScorecardEditor.vue")),
      props: true,
    },
    {
      path: "/quality/evaluations/:id",
      name: "evaluation",
      component: () => part(() => import("@/quality/EvaluationPage.vue")),
      props: true,
    },
    {
      path: "/quality/calibrations/:id",
      name: "calibration",
      component: () => part(() => import("@/quality/CalibrationPage.vue")),
      props: true,
    },
    {
      path: "/disclosures",
      name: "disclosures",
      component: () => part(() => import("@/disclosures/DisclosuresPage.vue")),
    },
    {
      path: "/erasures",
      name: "erasures",
      component: () => part(() => import("@/erasures/ErasuresPage.vue")),
    },
    {
      path: "/security",
      name: "security",
      component: () => part(() => import("@/factors/SecurityPage.vue")),
    },
    {
      path: "/:rest(.*)*",
      name: "lost",
      component: () => part(() => import("@/app/LostPage.vue")),
    },
  ],
});

/** The day begins at the start of shift; every other page is open at any time. */
router.beforeEach((to) => {
  const ofTheDesk = to.name === "desk" || to.name === "shift";
  if (ofTheDesk && !takesCalls.value) return { name: "calls" };
  return to.name === "desk" && !shiftIsOn() ? { name: "shift" } : true;
});

/** A page that the server no longer has in this version: fetch the application anew. */
router.onError((_error, to) => window.location.assign(to.fullPath));
