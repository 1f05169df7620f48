"""The words for what a definition says with ids: parts, fields, fixed values, comparisons. Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Words(NamedTuple):
    """The same in both languages."""

    zh: str
    en: str


NONE = Words("无", "none")

NOUNS: Mapping[str, Words] = {
    "Scenario": Words("场景", "scenario"),
    "Subject": Words("核验对象", "subject"),
    "Attribute": Words("填报项", "declared attribute"),
    "Entry": Words("填报项", "declared field"),
    "Option": Words("选项", "option"),
    "Question": Words("问题", "question"),
    "Material": Words("材料", "material"),
    "EvidenceItem": Words("核验数据", "evidence"),
    "Basis": Words("依据", "lawful basis"),
    "Act": Words("依据的规定", "act"),
    "Claim": Words("核验项", "claim"),
    "Parameter": Words("参数", "parameter"),
    "DatedValue": Words("取值", "value"),
    "Derived": Words("计算项", "derived input"),
    "Rule": Words("规则", "rule"),
    "Deadlines": Words("办理期限", "deadline"),
    "Term": Words("期限", "term"),
    "Step": Words("现场环节", "step in person"),
    "Agent": Words("委托代办", "agent"),
    "Result": Words("办理结果", "result"),
    "CredentialField": Words("证照字段", "field of the credential"),
    "Validity": Words("有效期", "validity"),
    "Push": Words("后续推送", "push"),
    "Input": Words("规则可读的数据项", "input of rules"),
}
"""What the parts of a scenario are called, by class."""

SECTIONS: Mapping[str, Words] = {
    "seats": Words("席位分工", "Who plays which role"),
    "id": Words("场景", "Scenario"),
    "name": Words("场景名称", "Name"),
    "matter": Words("事项名称", "Matter"),
    "law": Words("法律说明", "What the law says"),
    "approvers": Words("审批部门", "Approvers"),
    "countersign": Words("经办人决定须第二人复核的审批部门", "Where a second officer countersigns"),
    "providers": Words("数据提供部门", "Providers"),
    "evidence": Words("向部门核验的数据及依据", "What departments are asked, and on which basis"),
    "rules": Words("审批规则", "Rules"),
    "subjects": Words("核验对象", "Subjects"),
    "questions": Words("向申请人提的问题", "Questions to the applicant"),
    "materials": Words("材料", "Materials"),
    "parameters": Words("参数", "Parameters"),
    "derived": Words("计算项", "Derived inputs"),
    "inputs": Words("规则可读的数据项", "What rules may read"),
    "deadline": Words("办理期限", "Deadlines"),
    "steps": Words("现场环节", "Steps in person"),
    "agent": Words("委托代办", "Agents"),
    "result": Words("办理结果(电子证照)", "Result (credential)"),
    "pushes": Words("后续推送", "Pushes"),
}
"""The sections of a comparison, in the order in which a department wants to read them."""

_LABELS: Mapping[str, Words] = {
    "act": Words("规定", "act"),
    "after": Words("现在", "now"),
    "allowed": Words("允许委托", "allowed"),
    "answered_by": Words("由问题作答", "answered by the question"),
    "approver": Words("审批部门", "approver"),
    "attributes": Words("填报项", "declared attributes"),
    "basis": Words("依据", "lawful basis"),
    "before": Words("原先", "before"),
    "claim": Words("核验项", "claim"),
    "claims": Words("核验项", "claims"),
    "confirm": Words("须经办人确认", "an officer confirms"),
    "consents": Words("须本人同意", "everybody in the role consents"),
    "en": Words("英文", "in English"),
    "evidence": Words("核验数据", "evidence"),
    "fields": Words("字段", "fields"),
    "from_": Words("起始日", "from"),
    "from_question": Words("取自问题", "taken from the question"),
    "given": Words("核验条件", "if"),
    "given_by_request": Words("仅在要求补正时提交", "only when a rule asks for it"),
    "help": Words("说明", "help"),
    "holder": Words("持有人", "holder"),
    "id": Words("标识", "id"),
    "id_type": Words("标识类型", "kinds of identifier"),
    "kind": Words("种类", "kind"),
    "label": Words("名称", "label"),
    "many": Words("可有多个", "several may play it"),
    "mark": Words("来源", "where it comes from"),
    "material": Words("材料", "material"),
    "max": Words("上限", "at most"),
    "max_age": Words("应答有效时长", "how old an answer may be"),
    "message": Words("内容", "message"),
    "min": Words("下限", "at least"),
    "name": Words("名称", "name"),
    "note": Words("说明", "note"),
    "number": Words("编号格式", "format of the number"),
    "of": Words("取自", "of"),
    "on_recall": Words("应答被召回时的证照", "when an answer is recalled, the credential"),
    "op": Words("运算", "operation"),
    "options": Words("选项", "options"),
    "otherwise": Words("仅在无其他规则命中时适用", "only when no other row asks for worse"),
    "outcome": Words("结果", "outcome"),
    "parameter": Words("参数", "parameter"),
    "params": Words("参数", "with"),
    "power_of_attorney": Words("授权材料", "proof of the authority"),
    "prefill": Words("预填", "prefilled with"),
    "principal": Words("为办理本人", "is who signed in"),
    "provider": Words("提供部门", "answered by"),
    "providers": Words("数据提供部门", "providers"),
    "purpose": Words("用途", "purpose"),
    "reason": Words("理由", "reason"),
    "recheck": Words("办结前再次核验", "asked again before deciding"),
    "replaced_by": Words("可由核验数据代替", "replaced by the evidence"),
    "required": Words("必填", "required"),
    "sealed_to": Words("仅可由其阅读", "readable only by"),
    "sees": Words("由谁看到", "who sees it"),
    "source": Words("来源", "source"),
    "statutory": Words("法定期限", "by statute"),
    "target": Words("开启的场景", "opens the scenario"),
    "type": Words("类型", "type"),
    "type_code": Words("证照类型代码", "type code"),
    "unit": Words("单位", "unit"),
    "until": Words("至", "until"),
    "validity": Words("有效期", "validity"),
    "value": Words("值", "value"),
    "values": Words("取值", "values"),
    "vct": Words("证照类型", "credential type"),
    "when": Words("适用条件", "when"),
    "with_": Words("与之比对的对象", "compared with"),
    "years": Words("有效年数", "years"),
    "zh": Words("中文", "in Chinese"),
}
_LABELS_OF: Mapping[tuple[str, str], Words] = {
    ("Claim", "name"): Words("规则中的名称", "name in rules"),
    ("Deadlines", "before"): Words("原办理期限", "before"),
    ("Deadlines", "correction"): Words("异议答复期限", "for a reply to a contest"),
    ("Deadlines", "after"): Words("承诺办理期限", "as promised now"),
    ("Input", "material"): Words("所代替的材料", "replaces the material"),
}


def label_of(part: str, field: str) -> Words:
    """What a field of a part (by the name of its class) is called. Raises KeyError for one that has no words."""
    return _LABELS_OF.get((part, field)) or (SECTIONS if part == "Scenario" else _LABELS)[field]


STATES: Mapping[str, Words] = {
    "true": Words("是", "yes"),
    "false": Words("否", "no"),
    "unknown": Words("未知", "unknown"),
    "not_asked": Words("未核验", "not asked"),
}
BOUNDS: Mapping[str, Words] = {
    "gt": Words("大于", "is above"),
    "gte": Words("不小于", "is at least"),
    "lt": Words("小于", "is below"),
    "lte": Words("不大于", "is at most"),
    "ne": Words("不为", "is not"),
}
UNITS: Mapping[str, Words] = {
    "working_day": Words("个工作日", "working days"),
    "calendar_day": Words("天(自然日)", "calendar days"),
}
VOCABULARY: Mapping[tuple[str, object], Words] = {
    ("outcome", "approve"): Words("准予", "approve"),
    ("outcome", "return"): Words("退回补正", "return"),
    ("outcome", "refuse"): Words("不予办理", "refuse"),
    ("outcome", "manual"): Words("转人工", "an officer decides"),
    ("part", "holder"): Words("户名", "holder"),
    ("part", "bank"): Words("开户行", "bank"),
    ("part", "last_four"): Words("账号后四位", "last four digits"),
    ("purpose", "decide"): Words("审批", "to decide"),
    ("purpose", "push"): Words("推送后续服务", "to tell the next service"),
    ("kind", "statute"): Words("法定", "by statute"),
    ("kind", "consent"): Words("经本人同意", "by consent"),
    ("kind", "public"): Words("公开信息", "public information"),
    ("kind", "person"): Words("自然人", "person"),
    ("kind", "entity"): Words("单位", "entity"),
    ("kind", "premises"): Words("场所", "premises"),
    ("kind", "contract"): Words("合同", "contract"),
    ("kind", "laboratory"): Words("实验室", "laboratory"),
    ("sees", "orchestrator"): Words("经办平台", "the orchestrator"),
    ("sees", "approver"): Words("仅审批部门(密封)", "approvers only (sealed)"),
    ("source", "gateway"): Words("向部门核验", "the department is asked"),
    ("source", "mandate"): Words("由身份席位写入授权书", "the identity seat states it in the mandate"),
    ("on_recall", "review"): Words("照常有效,由审批部门复核", "counts, while the approvers look again"),
    ("on_recall", "suspend"): Words("效力中止,由审批部门复核", "is suspended, while the approvers look again"),
    ("mark", "source"): Words("官方公布", "published"),
    ("mark", "law"): Words("法律规定", "the law"),
    ("mark", "unsure"): Words("待核实", "unsure"),
    ("mark", "ours"): Words("本系统设定", "our own"),
    ("before", "always"): Words("每次", "always"),
    ("before", "sometimes"): Words("有时", "sometimes"),
    ("before", "never"): Words("无需", "never"),
    ("after", "always"): Words("每次", "always"),
    ("after", "sometimes"): Words("有时", "sometimes"),
    ("after", "never"): Words("无需", "never"),
}
"""Fixed values in words, by field."""
