//! What channels publish beside the campaigns, and what people answer.

use crate::cast::Language::{self, Arabic, Chinese, English, Russian};

/// What a channel publishes beside the campaigns.
pub const fn posts(language: Language) -> &'static [&'static str] {
    match language {
        Chinese => &[
            "早安！今天整理了三个值得关注的选品方向,附上近三十天的搜索趋势,收藏起来慢慢看。",
            "很多新朋友问怎么进货,置顶消息里有完整的供应商名单和验货清单。",
            "本周茶话会主题：老白茶怎么存放才不跑味？欢迎在评论区晒出你的茶仓 🍵",
            "活动回顾：感谢两百多位朋友参加周末的线下见面会,照片已经上传。",
            "物流提醒：受台风影响,华南仓发货推迟一天,已下单的朋友请耐心等待。",
        ],
        Russian => &[
            "Доброе утро! Собрали пять скидок дня, которые действительно стоят внимания. Сохраняйте, чтобы не потерять.",
            "Разбор недели: почему рассылка по холодной базе съела бюджет и что мы изменили на второй день.",
            "Опрос: в какое время вам удобнее читать канал? Голосуйте, подстроим расписание под большинство.",
            "Читатели спрашивают, как отличить живой канал от накрученного. Пять признаков — в карточках 👇",
            "Итоги розыгрыша: поздравляем троих победителей, напишите нам в личные сообщения до вечера пятницы 🎉",
        ],
        English => &[
            "Morning thread: share one number you are watching this week and why it matters to your business.",
            "We read 40 onboarding flows so you don't have to. Here are the seven patterns that kept showing up.",
            "New this week: 23 fully remote roles across Europe, salaries included. Filter by time zone in the comments.",
            "Founder story: from side project to 1,200 paying teams, told with the real revenue chart 📈",
        ],
        Arabic => &[
            "صباح الخير! جمعنا لكم أفضل خمسة عروض لهذا اليوم مع رموز الخصم.",
            "نصيحة اليوم لرواد الأعمال: ابدأ بعميل واحد سعيد قبل أن تبحث عن الألف.",
            "تذكير: ينتهي عرض التوصيل المجاني الليلة عند منتصف الليل 🌙",
        ],
    }
}

/// What people answer, with the sentiment a client would attach.
pub const fn replies(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Chinese => &[
            ("positive", "谢谢,正好需要,怎么下单？"),
            ("positive", "已经买了两条,质量很好 👍"),
            ("neutral", "请问可以开发票吗？"),
            ("neutral", "水晶是天然的还是合成的？"),
            ("negative", "请不要再发了,谢谢"),
        ],
        Russian => &[
            ("positive", "Спасибо, как раз искала! Есть размер 44?"),
            ("positive", "Отлично, запишите меня"),
            ("neutral", "А доставка в Казань есть?"),
            ("neutral", "Сколько стоит?"),
            ("negative", "Уберите меня из рассылки, пожалуйста"),
        ],
        English => &[
            ("positive", "Love this, just signed up 🙌"),
            ("positive", "Yes please, table for two"),
            ("neutral", "Does it work with more than one account?"),
            ("negative", "Please stop messaging me"),
        ],
        Arabic => &[
            ("positive", "شكراً، أريد الطلب 🌹"),
            ("neutral", "كم السعر مع التوصيل؟"),
            ("negative", "الرجاء عدم إرسال رسائل أخرى"),
        ],
    }
}
